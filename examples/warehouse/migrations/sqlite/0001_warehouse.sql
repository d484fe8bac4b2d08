-- One shipment for one order, whatever its key says.
CREATE TABLE IF NOT EXISTS shipments (
    id              TEXT NOT NULL PRIMARY KEY,
    order_id        TEXT NOT NULL UNIQUE,
    idempotency_key TEXT NOT NULL,
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- Orders that cannot be shipped as they are.
CREATE TABLE IF NOT EXISTS poison (
    order_id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Told at the best of efforts: orders may be missing, none is there twice.
CREATE TABLE IF NOT EXISTS analytics (
    order_id TEXT NOT NULL PRIMARY KEY,
    told_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT, WITHOUT ROWID;
