-- What there is of each product. `initial` is what must be found again: available + reserved.
CREATE TABLE products (
    sku       TEXT   NOT NULL PRIMARY KEY,
    available BIGINT NOT NULL CHECK (available >= 0),
    initial   BIGINT NOT NULL CHECK (initial >= 0)
);

-- A time as the service answers it.
CREATE FUNCTION inventory_now() RETURNS TEXT LANGUAGE sql VOLATILE AS
    $$ SELECT to_char(clock_timestamp() AT TIME ZONE 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- One row for every reservation ever made. The business key (order_id, line) outlives the
-- idempotency key: when the key has been forgotten, the order line is still reserved only once.
CREATE TABLE reservations (
    id              TEXT   NOT NULL PRIMARY KEY,
    order_id        TEXT   NOT NULL,
    line            BIGINT NOT NULL,
    sku             TEXT   NOT NULL REFERENCES products (sku),
    quantity        BIGINT NOT NULL CHECK (quantity > 0),
    status          TEXT   NOT NULL DEFAULT 'reserved' CHECK (status IN ('reserved', 'released')),
    caller          TEXT   NOT NULL,
    idempotency_key TEXT   NOT NULL,
    fence           BIGINT NOT NULL,
    created_at      TEXT   NOT NULL DEFAULT inventory_now(),
    UNIQUE (order_id, line)
);

CREATE INDEX reservations_by_sku ON reservations (sku, status);

-- What was done, by whom, under which key and claim; written in the transaction that did it.
CREATE TABLE events (
    id              BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time            TEXT   NOT NULL DEFAULT inventory_now(),
    caller          TEXT   NOT NULL,
    idempotency_key TEXT,
    fence           BIGINT,
    effect          TEXT   NOT NULL,
    sku             TEXT,
    quantity        BIGINT,
    reservation_id  TEXT
);

CREATE INDEX events_by_key ON events (idempotency_key, caller);

CREATE FUNCTION events_stay() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit events are append-only'; END $$;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_stay();
