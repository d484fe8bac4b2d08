-- One shipment for one order, whatever its key says.
CREATE TABLE shipments (
    id              TEXT NOT NULL PRIMARY KEY,
    order_id        TEXT NOT NULL UNIQUE,
    idempotency_key TEXT NOT NULL,
    created_at      TEXT NOT NULL
        DEFAULT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
);

-- Orders that cannot be shipped as they are.
CREATE TABLE poison (
    order_id TEXT NOT NULL PRIMARY KEY
);

-- Told at the best of efforts: orders may be missing, none is there twice.
CREATE TABLE analytics (
    order_id TEXT NOT NULL PRIMARY KEY,
    told_at  TEXT NOT NULL
        DEFAULT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
);
