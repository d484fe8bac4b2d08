-- An order is written down before Inventory is asked, so that whoever finds it later knows under
-- which keys to ask again.
CREATE TABLE IF NOT EXISTS orders (
    id          TEXT    NOT NULL PRIMARY KEY,
    -- The business key behind the idempotency record: it still stands when that has expired.
    key         TEXT    NOT NULL UNIQUE,
    customer    TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('placing', 'pending_inventory_confirmation',
                        'confirmed', 'rejected_out_of_stock', 'rejected_unknown_sku')),
    refusal     TEXT    CHECK (refusal IN ('out_of_stock', 'unknown_sku')),
    tries       INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    -- When the reconciler may take it; nothing once the order has ended.
    next_try_at INTEGER,
    CHECK ((next_try_at IS NULL) = (status NOT IN ('placing', 'pending_inventory_confirmation')))
) STRICT;

CREATE INDEX IF NOT EXISTS orders_due ON orders (next_try_at) WHERE next_try_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS order_lines (
    order_id       TEXT    NOT NULL REFERENCES orders (id),
    line           INTEGER NOT NULL CHECK (line > 0),
    sku            TEXT    NOT NULL,
    quantity       INTEGER NOT NULL CHECK (quantity > 0),
    reservation_id TEXT,
    released       INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
    PRIMARY KEY (order_id, line)
) STRICT, WITHOUT ROWID;
