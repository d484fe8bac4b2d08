-- What becomes of keys after their answers, what a lapsed claim means, and what operators did.
-- Run it once, after 0001 and in one transaction.

-- completed: until when the key is refused after its answer has expired
ALTER TABLE aplomb_idempotency_records ADD COLUMN retired_until INTEGER;

-- started: what the end of its lease means, and whether the claim before it ended so
ALTER TABLE aplomb_idempotency_records ADD COLUMN lapsed TEXT NOT NULL DEFAULT 'unknown'
    CHECK (lapsed IN ('unknown', 'run_again', 'recover', 'at_least_once'));
ALTER TABLE aplomb_idempotency_records ADD COLUMN after_lapse INTEGER NOT NULL DEFAULT 0
    CHECK (after_lapse IN (0, 1));

-- When a sweep has something to do: a claim is left alone for an hour after its lease.
ALTER TABLE aplomb_idempotency_records ADD COLUMN due_at INTEGER
    GENERATED ALWAYS AS (CASE state
        WHEN 'started' THEN CASE lapsed WHEN 'recover' THEN NULL ELSE lease_until + 3600000 END
        WHEN 'unknown' THEN NULL
        ELSE expires_at
    END) VIRTUAL;

-- The version before refused no key after its answer.
UPDATE aplomb_idempotency_records SET retired_until = expires_at WHERE state = 'completed';

DROP INDEX aplomb_idempotency_records_expiry;
DROP INDEX aplomb_idempotency_records_unknown;
CREATE INDEX aplomb_idempotency_records_due
    ON aplomb_idempotency_records (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX aplomb_idempotency_records_stuck
    ON aplomb_idempotency_records (id) WHERE state IN ('started', 'unknown');
CREATE INDEX aplomb_idempotency_records_caller
    ON aplomb_idempotency_records (caller, id);

-- Written in the transaction of the change that it tells of.
CREATE TABLE aplomb_idempotency_audit (
    number   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    operator TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    action   TEXT    NOT NULL
        CHECK (action IN ('resolved_applied', 'resolved_not_applied', 'purged')),
    id       BLOB    NOT NULL CHECK (length(id) = 32),
    fence    INTEGER NOT NULL
) STRICT;

CREATE INDEX aplomb_idempotency_audit_record ON aplomb_idempotency_audit (id, number);

INSERT INTO aplomb_idempotency_schema (version, applied_at)
    VALUES (2, CAST(unixepoch('subsec') * 1000 AS INTEGER));
