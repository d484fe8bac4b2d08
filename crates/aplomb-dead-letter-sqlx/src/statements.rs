//! The statements of both databases: they differ in their clocks, locks and sequences.

/// What is asked of a database.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) now: &'static str,
    pub(crate) next_fence: &'static str,
    pub(crate) load: &'static str,
    pub(crate) get: &'static str,
    pub(crate) insert: &'static str,
    pub(crate) update: &'static str,
    pub(crate) note: &'static str,
    pub(crate) list_dead: &'static str,
    pub(crate) list_ended: &'static str,
    pub(crate) list_all: &'static str,
    pub(crate) audit: &'static str,
    pub(crate) audit_of: &'static str,
    pub(crate) sweep: &'static str,
    pub(crate) enqueue: &'static str,
    pub(crate) any_due: &'static str,
    pub(crate) claim: &'static str,
    pub(crate) renew: &'static str,
    pub(crate) reschedule: &'static str,
    pub(crate) remove: &'static str,
    pub(crate) depth: &'static str,
}

/// Which of a page's letters are meant: `$1` is where the page before ended, `$2` how many.
macro_rules! listing {
    ($which:literal) => {
        concat!("SELECT * FROM aplomb_dead_letters WHERE id > $1", $which, " ORDER BY id LIMIT $2")
    };
}

macro_rules! statements {
    (
        now: $now:literal,
        next_fence: $next_fence:literal,
        fence_of_due: $fence_of_due:literal,
        held: $held:literal,
        skipped: $skipped:literal,
    ) => {
        $crate::statements::Statements {
            now: concat!("SELECT ", $now, " AS now"),
            next_fence: $next_fence,
            load: concat!("SELECT * FROM aplomb_dead_letters WHERE id = $1", $held),
            get: "SELECT * FROM aplomb_dead_letters WHERE id = $1",
            insert: "INSERT INTO aplomb_dead_letters \
                 (id, key, cause, method, uri, headers, body, attempts, rounds, failure, status, \
                  reason, detail, first_failed_at, last_failed_at, not_before, horizon, state, \
                  state_time, redrives, fence, stored_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
                  $17, $18, $19, $20, $21, $22) ON CONFLICT (id) DO NOTHING",
            update: "UPDATE aplomb_dead_letters SET key = $2, cause = $3, method = $4, uri = $5, \
                 headers = $6, body = $7, attempts = $8, rounds = $9, failure = $10, \
                 status = $11, reason = $12, detail = $13, first_failed_at = $14, \
                 last_failed_at = $15, not_before = $16, horizon = $17, state = $18, \
                 state_time = $19, redrives = $20, fence = $21, stored_at = $22 WHERE id = $1",
            note: "INSERT INTO aplomb_dead_letter_audit \
                 (at, id, operator, reason, action, fence, outcome) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            list_dead: listing!(" AND state IN ('stored', 'redriving')"),
            list_ended: listing!(" AND state IN ('delivered', 'discarded')"),
            list_all: listing!(""),
            audit: "SELECT * FROM aplomb_dead_letter_audit ORDER BY number DESC LIMIT $1",
            audit_of: "SELECT * FROM aplomb_dead_letter_audit WHERE id = $2 \
                 ORDER BY number DESC LIMIT $1",
            sweep: concat!(
                "DELETE FROM aplomb_dead_letters WHERE id IN (SELECT id FROM aplomb_dead_letters \
                 WHERE state IN ('delivered', 'discarded') AND state_time <= ",
                $now,
                " - $1 ORDER BY state_time LIMIT $2",
                $skipped,
                ")"
            ),
            enqueue: concat!(
                "INSERT INTO aplomb_outbox (id, key, method, uri, headers, body, queued_at, \
                  horizon, due_at, takes, attempts) VALUES ($1, $2, $3, $4, $5, $6, ",
                $now,
                ", ",
                $now,
                " + $7, ",
                $now,
                " + $8, 0, 0) ON CONFLICT (id) DO NOTHING"
            ),
            any_due: concat!(
                "SELECT EXISTS (SELECT 1 FROM aplomb_outbox WHERE due_at <= ",
                $now,
                ") AS any_due"
            ),
            // Locked first, then numbered, and only then changed: in one step, a plan may look for
            // rows twice.
            claim: concat!(
                "WITH due (due_id) AS MATERIALIZED (SELECT id FROM aplomb_outbox \
                 WHERE due_at <= ",
                $now,
                " ORDER BY due_at LIMIT $1",
                $skipped,
                "), numbered (due_id, due_number) AS MATERIALIZED (SELECT due_id, ",
                $fence_of_due,
                " FROM due) UPDATE aplomb_outbox SET worker = $2, due_at = ",
                $now,
                " + $3, takes = takes + 1, fence = due_number FROM numbered WHERE id = due_id \
                 RETURNING id, key, method, uri, headers, body, queued_at, due_at, takes, \
                  attempts, first_failed_at, fence, horizon - ",
                $now,
                " AS time_left"
            ),
            renew: concat!(
                "UPDATE aplomb_outbox SET due_at = ",
                $now,
                " + $3 WHERE id = $1 AND fence = $2"
            ),
            reschedule: concat!(
                "UPDATE aplomb_outbox SET due_at = ",
                $now,
                " + $3, attempts = attempts + $4, \
                 first_failed_at = coalesce(first_failed_at, $5), last_failure = $6, \
                 worker = NULL, fence = NULL WHERE id = $1 AND fence = $2"
            ),
            remove: "DELETE FROM aplomb_outbox WHERE id = $1 AND fence = $2",
            depth: concat!(
                "SELECT count(*) AS jobs, \
                 count(*) FILTER (WHERE fence IS NOT NULL AND due_at > ",
                $now,
                ") AS taken, count(*) FILTER (WHERE due_at <= ",
                $now,
                ") AS due FROM aplomb_outbox"
            ),
        }
    };
}

pub(crate) use {listing, statements};
