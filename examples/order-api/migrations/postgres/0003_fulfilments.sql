-- Written in the transaction that confirms the order, beside its task in the outbox.
CREATE TABLE fulfilments (
    order_id   TEXT   NOT NULL PRIMARY KEY REFERENCES orders (id),
    -- The name of the task, which its dead letter would have too.
    task       TEXT   NOT NULL UNIQUE,
    queued_at  BIGINT NOT NULL,
    -- Written in the transaction that removes the task. A letter that arrived later says so itself.
    shipped_at BIGINT
);
