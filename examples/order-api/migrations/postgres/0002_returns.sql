-- A return is written down before Inventory is asked, so that a crash leaves nothing behind that
-- nobody finishes. A line comes back once.
CREATE TABLE returns (
    order_id    TEXT   NOT NULL,
    line        BIGINT NOT NULL,
    -- Whose click it was: another key for the same line is another return, and there is none.
    key         TEXT   NOT NULL UNIQUE,
    tries       BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    -- When Inventory had it back.
    returned_at BIGINT,
    -- When the reconciler may take it; nothing once the stock is back.
    next_try_at BIGINT,
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (order_id, line) REFERENCES order_lines (order_id, line),
    CHECK ((next_try_at IS NULL) = (returned_at IS NOT NULL))
);

CREATE INDEX returns_due ON returns (next_try_at) WHERE next_try_at IS NOT NULL;
