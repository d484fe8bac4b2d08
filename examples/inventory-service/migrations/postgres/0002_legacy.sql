-- What the demo's naive callers reserve. Neither keyed nor unique, on purpose: here the duplicates
-- are made that the other table cannot hold, and stay to be counted.
CREATE TABLE legacy_reservations (
    id         TEXT   NOT NULL PRIMARY KEY,
    order_id   TEXT   NOT NULL,
    line       BIGINT NOT NULL,
    sku        TEXT   NOT NULL REFERENCES products (sku),
    quantity   BIGINT NOT NULL CHECK (quantity > 0),
    caller     TEXT   NOT NULL,
    created_at TEXT   NOT NULL DEFAULT inventory_now()
);

CREATE INDEX legacy_reservations_by_sku ON legacy_reservations (sku);

-- Every row that takes or took stock, whoever made it: what the figures are counted from.
CREATE VIEW all_reservations AS
    SELECT order_id, line, sku, quantity, status, caller, idempotency_key FROM reservations
    UNION ALL
    SELECT order_id, line, sku, quantity, 'reserved', caller, NULL FROM legacy_reservations;
