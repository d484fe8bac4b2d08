-- Dead letters and the outbox that they come from, beside the tables of the work itself.
-- Times are milliseconds since 1970: on the database's clock, but for the calendar times at which
-- a request failed, which are its worker's.

CREATE TABLE IF NOT EXISTS aplomb_dead_letters (
    -- A hash of method, target and key: the same work has the same id.
    id              TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    key             TEXT   NOT NULL,
    cause           TEXT   NOT NULL CHECK (cause IN ('exhausted', 'refused')),
    method          TEXT   NOT NULL,
    uri             TEXT   NOT NULL,
    -- a JSON array of pairs, without what authenticates
    headers         TEXT   NOT NULL,
    body            BLOB   NOT NULL,
    attempts        INTEGER NOT NULL,
    rounds          INTEGER NOT NULL,
    -- how it failed last
    failure         TEXT   NOT NULL,
    status          INTEGER,
    reason          TEXT,
    detail          TEXT   NOT NULL,
    first_failed_at INTEGER NOT NULL,
    last_failed_at  INTEGER NOT NULL,
    not_before      INTEGER NOT NULL,
    horizon         INTEGER,
    state           TEXT   NOT NULL
        CHECK (state IN ('stored', 'redriving', 'delivered', 'discarded')),
    -- redriving: until when; delivered, discarded: since when
    state_time      INTEGER,
    redrives        INTEGER NOT NULL,
    fence           INTEGER NOT NULL,
    stored_at       INTEGER NOT NULL,
    CHECK ((state = 'stored') = (state_time IS NULL))
) STRICT;

CREATE INDEX IF NOT EXISTS aplomb_dead_letters_dead
    ON aplomb_dead_letters (id) WHERE state IN ('stored', 'redriving');
CREATE INDEX IF NOT EXISTS aplomb_dead_letters_ended
    ON aplomb_dead_letters (state_time) WHERE state IN ('delivered', 'discarded');

-- Written in the transaction of the change that it tells of.
CREATE TABLE IF NOT EXISTS aplomb_dead_letter_audit (
    number   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    id       TEXT   NOT NULL,
    operator TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    action   TEXT   NOT NULL CHECK (action IN
        ('reopened', 'redriven', 'delivered', 'failed', 'released', 'discarded')),
    fence    INTEGER NOT NULL,
    outcome  TEXT   NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS aplomb_dead_letter_audit_letter
    ON aplomb_dead_letter_audit (id, number);

-- Jobs that are still to be done. A row goes when its job is done, or is a letter.
CREATE TABLE IF NOT EXISTS aplomb_outbox (
    id              TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    key             TEXT   NOT NULL,
    method          TEXT   NOT NULL,
    uri             TEXT   NOT NULL,
    headers         TEXT   NOT NULL,
    body            BLOB   NOT NULL,
    queued_at       INTEGER NOT NULL,
    horizon         INTEGER NOT NULL,
    -- When it may be taken: while a worker has it, when its lease ends.
    due_at          INTEGER NOT NULL,
    takes           INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    first_failed_at INTEGER,
    last_failure    TEXT,
    -- who has it, and under which number; nobody when it waits
    worker          TEXT,
    fence           INTEGER,
    CHECK ((worker IS NULL) = (fence IS NULL))
) STRICT;

CREATE INDEX IF NOT EXISTS aplomb_outbox_due ON aplomb_outbox (due_at);

-- The last number given to a claim: one counter for all jobs and letters, so that one that was
-- removed and made anew can never be mistaken for the old one.
CREATE TABLE IF NOT EXISTS aplomb_dead_letter_fence (
    one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT OR IGNORE INTO aplomb_dead_letter_fence (one, last) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS aplomb_dead_letter_schema (
    version    INTEGER NOT NULL PRIMARY KEY,
    applied_at INTEGER  NOT NULL
) STRICT;

INSERT OR IGNORE INTO aplomb_dead_letter_schema (version, applied_at)
    VALUES (1, CAST(unixepoch('subsec') * 1000 AS INTEGER));
