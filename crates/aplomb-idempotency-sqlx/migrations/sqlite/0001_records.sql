-- Idempotency records, beside the tables that the keyed work changes.
-- Times are milliseconds since 1970 on the database's clock.

CREATE TABLE IF NOT EXISTS aplomb_idempotency_records (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    -- What the key names, for audit: the id is a hash of these.
    scope       TEXT    NOT NULL CHECK (scope IN ('principal', 'global')),
    caller      TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    route       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    -- What the key was used for: a version byte, then SHA-256.
    fingerprint BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    state       TEXT    NOT NULL
        CHECK (state IN ('started', 'completed', 'unknown', 'released', 'tombstone')),
    fence       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    -- started
    ticket      BLOB    NOT NULL CHECK (length(ticket) = 16),
    lease_until INTEGER NOT NULL,
    -- completed; a body that was not kept is null
    status      INTEGER,
    headers     BLOB,
    body        BLOB,
    -- completed, released, tombstone
    expires_at  INTEGER,
    -- unknown
    since       INTEGER,
    CHECK (state <> 'completed' OR (status IS NOT NULL AND headers IS NOT NULL)),
    CHECK ((state IN ('completed', 'released', 'tombstone')) = (expires_at IS NOT NULL)),
    CHECK ((state = 'unknown') = (since IS NOT NULL))
) STRICT;

CREATE INDEX IF NOT EXISTS aplomb_idempotency_records_expiry
    ON aplomb_idempotency_records (expires_at) WHERE expires_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS aplomb_idempotency_records_unknown
    ON aplomb_idempotency_records (since) WHERE since IS NOT NULL;

-- The last fence given out. One counter for all records: a claim of a record that was forgotten
-- and made anew can never be mistaken for the old one.
CREATE TABLE IF NOT EXISTS aplomb_idempotency_fence (
    one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT OR IGNORE INTO aplomb_idempotency_fence (one, last) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS aplomb_idempotency_schema (
    version    INTEGER NOT NULL PRIMARY KEY,
    applied_at INTEGER NOT NULL
) STRICT;

INSERT OR IGNORE INTO aplomb_idempotency_schema (version, applied_at)
    VALUES (1, CAST(unixepoch('subsec') * 1000 AS INTEGER));
