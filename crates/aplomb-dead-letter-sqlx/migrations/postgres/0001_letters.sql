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
    body            BYTEA  NOT NULL,
    attempts        BIGINT NOT NULL,
    rounds          BIGINT NOT NULL,
    -- how it failed last
    failure         TEXT   NOT NULL,
    status          BIGINT,
    reason          TEXT,
    detail          TEXT   NOT NULL,
    first_failed_at BIGINT NOT NULL,
    last_failed_at  BIGINT NOT NULL,
    not_before      BIGINT NOT NULL,
    horizon         BIGINT,
    state           TEXT   NOT NULL
        CHECK (state IN ('stored', 'redriving', 'delivered', 'discarded')),
    -- redriving: until when; delivered, discarded: since when
    state_time      BIGINT,
    redrives        BIGINT NOT NULL,
    fence           BIGINT NOT NULL,
    stored_at       BIGINT NOT NULL,
    CHECK ((state = 'stored') = (state_time IS NULL))
);

CREATE INDEX IF NOT EXISTS aplomb_dead_letters_dead
    ON aplomb_dead_letters (id) WHERE state IN ('stored', 'redriving');
CREATE INDEX IF NOT EXISTS aplomb_dead_letters_ended
    ON aplomb_dead_letters (state_time) WHERE state IN ('delivered', 'discarded');

-- Written in the transaction of the change that it tells of.
CREATE TABLE IF NOT EXISTS aplomb_dead_letter_audit (
    number   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       BIGINT NOT NULL,
    id       TEXT   NOT NULL,
    operator TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    action   TEXT   NOT NULL CHECK (action IN
        ('reopened', 'redriven', 'delivered', 'failed', 'released', 'discarded')),
    fence    BIGINT NOT NULL,
    outcome  TEXT   NOT NULL
);

CREATE INDEX IF NOT EXISTS aplomb_dead_letter_audit_letter
    ON aplomb_dead_letter_audit (id, number);

-- Jobs that are still to be done. A row goes when its job is done, or is a letter.
CREATE TABLE IF NOT EXISTS aplomb_outbox (
    id              TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    key             TEXT   NOT NULL,
    method          TEXT   NOT NULL,
    uri             TEXT   NOT NULL,
    headers         TEXT   NOT NULL,
    body            BYTEA  NOT NULL,
    queued_at       BIGINT NOT NULL,
    horizon         BIGINT NOT NULL,
    -- When it may be taken: while a worker has it, when its lease ends.
    due_at          BIGINT NOT NULL,
    takes           BIGINT NOT NULL,
    attempts        BIGINT NOT NULL,
    first_failed_at BIGINT,
    last_failure    TEXT,
    -- who has it, and under which number; nobody when it waits
    worker          TEXT,
    fence           BIGINT,
    CHECK ((worker IS NULL) = (fence IS NULL))
);

CREATE INDEX IF NOT EXISTS aplomb_outbox_due ON aplomb_outbox (due_at);

-- The number of a claim: one sequence for all jobs and letters, so that one that was removed and
-- made anew can never be mistaken for the old one. It is drawn while the row is held, and caches
-- none, so that a later claim of a row has the greater number.
CREATE SEQUENCE IF NOT EXISTS aplomb_dead_letter_fence AS BIGINT CACHE 1;

CREATE TABLE IF NOT EXISTS aplomb_dead_letter_schema (
    version    INTEGER NOT NULL PRIMARY KEY,
    applied_at BIGINT  NOT NULL
);

INSERT INTO aplomb_dead_letter_schema (version, applied_at)
    VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT)
    ON CONFLICT (version) DO NOTHING;
