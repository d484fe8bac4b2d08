-- Idempotency records, beside the tables that the keyed work changes.
-- Times are milliseconds since 1970 on the database's clock.

CREATE TABLE IF NOT EXISTS aplomb_idempotency_records (
    id            BYTEA   NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    -- What the key names, for audit: the id is a hash of these.
    scope         TEXT    NOT NULL CHECK (scope IN ('principal', 'global')),
    caller        TEXT    NOT NULL,
    method        TEXT    NOT NULL,
    route         TEXT    NOT NULL,
    key           TEXT    NOT NULL,
    -- What the key was used for: a version byte, then SHA-256.
    fingerprint   BYTEA   NOT NULL,
    created_at    BIGINT  NOT NULL,
    state         TEXT    NOT NULL
        CHECK (state IN ('started', 'completed', 'unknown', 'released', 'tombstone')),
    fence         BIGINT  NOT NULL,
    attempt       BIGINT  NOT NULL,
    -- started: what the end of its lease means, and whether the claim before it ended so
    ticket        BYTEA   NOT NULL CHECK (length(ticket) = 16),
    lease_until   BIGINT  NOT NULL,
    lapsed        TEXT    NOT NULL
        CHECK (lapsed IN ('unknown', 'run_again', 'recover', 'at_least_once')),
    after_lapse   BOOLEAN NOT NULL,
    -- completed; a body that was not kept is null
    status        BIGINT,
    headers       BYTEA,
    body          BYTEA,
    -- completed, released, tombstone
    expires_at    BIGINT,
    -- completed: until when the key is refused after its answer has expired
    retired_until BIGINT,
    -- unknown
    since         BIGINT,
    -- When a sweep has something to do: a claim is left alone for an hour after its lease.
    due_at        BIGINT GENERATED ALWAYS AS (CASE state
        WHEN 'started' THEN CASE lapsed WHEN 'recover' THEN NULL ELSE lease_until + 3600000 END
        WHEN 'unknown' THEN NULL
        ELSE expires_at
    END) STORED,
    CHECK ((state = 'completed') = (status IS NOT NULL AND headers IS NOT NULL)),
    CHECK ((state = 'completed') = (retired_until IS NOT NULL)),
    CHECK ((state IN ('completed', 'released', 'tombstone')) = (expires_at IS NOT NULL)),
    CHECK ((state = 'unknown') = (since IS NOT NULL))
);

CREATE INDEX IF NOT EXISTS aplomb_idempotency_records_due
    ON aplomb_idempotency_records (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS aplomb_idempotency_records_stuck
    ON aplomb_idempotency_records (id) WHERE state IN ('started', 'unknown');
CREATE INDEX IF NOT EXISTS aplomb_idempotency_records_caller
    ON aplomb_idempotency_records (caller, id);

-- The number of a claim. One sequence for all records: a claim of a record that was forgotten and
-- made anew can never be mistaken for the old one. It is drawn while the key is held, and caches
-- none, so that a later claim of a key has the greater number.
CREATE SEQUENCE IF NOT EXISTS aplomb_idempotency_fence AS BIGINT CACHE 1;

-- Written in the transaction of the change that it tells of.
CREATE TABLE IF NOT EXISTS aplomb_idempotency_audit (
    number   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       BIGINT NOT NULL,
    operator TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    action   TEXT   NOT NULL
        CHECK (action IN ('resolved_applied', 'resolved_not_applied', 'purged')),
    id       BYTEA  NOT NULL CHECK (length(id) = 32),
    fence    BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS aplomb_idempotency_audit_record
    ON aplomb_idempotency_audit (id, number);

CREATE TABLE IF NOT EXISTS aplomb_idempotency_schema (
    version    INTEGER NOT NULL PRIMARY KEY,
    applied_at BIGINT  NOT NULL
);

INSERT INTO aplomb_idempotency_schema (version, applied_at)
    VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT)
    ON CONFLICT (version) DO NOTHING;
