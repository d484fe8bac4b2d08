-- What there is of each product. `initial` is what must be found again: available + reserved.
CREATE TABLE products (
    sku       TEXT    NOT NULL PRIMARY KEY,
    available INTEGER NOT NULL CHECK (available >= 0),
    initial   INTEGER NOT NULL CHECK (initial >= 0)
) STRICT;

-- One row for every reservation ever made. The business key (order_id, line) outlives the
-- idempotency key: when the key has been forgotten, the order line is still reserved only once.
CREATE TABLE reservations (
    id              TEXT    NOT NULL PRIMARY KEY,
    order_id        TEXT    NOT NULL,
    line            INTEGER NOT NULL,
    sku             TEXT    NOT NULL REFERENCES products (sku),
    quantity        INTEGER NOT NULL CHECK (quantity > 0),
    status          TEXT    NOT NULL DEFAULT 'reserved' CHECK (status IN ('reserved', 'released')),
    caller          TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    fence           INTEGER NOT NULL,
    created_at      TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (order_id, line)
) STRICT;

CREATE INDEX reservations_by_sku ON reservations (sku, status);

-- What was done, by whom, under which key and claim; written in the transaction that did it.
CREATE TABLE events (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    time            TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    caller          TEXT    NOT NULL,
    idempotency_key TEXT,
    fence           INTEGER,
    effect          TEXT    NOT NULL,
    sku             TEXT,
    quantity        INTEGER,
    reservation_id  TEXT
) STRICT;

CREATE INDEX events_by_key ON events (idempotency_key, caller);

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
