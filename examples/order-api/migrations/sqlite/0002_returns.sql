-- A return is written down before Inventory is asked, so that a crash leaves nothing behind that
-- nobody finishes. A line comes back once.
CREATE TABLE returns (
    order_id    TEXT    NOT NULL,
    line        INTEGER NOT NULL,
    -- Whose click it was: another key for the same line is another return, and there is none.
    key         TEXT    NOT NULL UNIQUE,
    tries       INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    -- When Inventory had it back.
    returned_at INTEGER,
    -- When the reconciler may take it; nothing once the stock is back.
    next_try_at INTEGER,
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (order_id, line) REFERENCES order_lines (order_id, line),
    CHECK ((next_try_at IS NULL) = (returned_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX returns_due ON returns (next_try_at) WHERE next_try_at IS NOT NULL;
