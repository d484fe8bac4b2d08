//! The tables: made by the store, by hand, or by an earlier version.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::time::Duration;

use aplomb_idempotency::{Begin, Begun, Fence, Lapsed, State, Store, Timestamp};
use aplomb_idempotency_sqlx::{PostgresStore, SqliteStore, postgres, sqlite};
use aplomb_testkit::servers;
use aplomb_testkit::store::{answer, begin, claim, started};
use futures_util::future::join_all;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

use common::{PostgresShop, Shop, SqliteShop, on_both};

on_both! {
    tables_of_a_later_version_are_left_alone,
    making_the_tables_again_changes_nothing,
}

async fn tables_of_a_later_version_are_left_alone<S: Shop>() {
    let shop = S::open().await;
    shop.run("INSERT INTO aplomb_idempotency_schema VALUES (99, 0)".into()).await.unwrap();
    let error = shop.migrate().await.unwrap_err();
    assert!(error.to_string().contains("later version"), "{error}");
}

async fn making_the_tables_again_changes_nothing<S: Shop>() {
    let shop = S::open().await;
    claim(shop.store(), &begin("k")).await;
    shop.migrate().await.unwrap();
    assert_eq!(shop.store().begin(&begin("k")).await.unwrap(), Begun::InFlight);
}

#[tokio::test]
async fn on_sqlite_tables_made_by_hand_are_those_that_the_store_makes() {
    let shop = SqliteShop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let by_hand = sqlite::connect(directory.path().join("shop.db")).await.unwrap();
    for migration in sqlite::MIGRATIONS {
        sqlx::raw_sql(migration).execute(&by_hand.writer).await.unwrap();
    }
    assert_eq!(sqlite_tables(&by_hand.writer).await, sqlite_tables(&shop.pools.writer).await);
    let store = SqliteStore::new(by_hand.writer);
    store.migrate().await.unwrap();
    started(&store, &begin("k")).await;
}

#[tokio::test]
async fn on_postgres_tables_made_by_hand_are_those_that_the_store_makes() {
    let shop = PostgresShop::open().await;
    let database = servers::Postgres::start().unwrap();
    let by_hand = postgres::connect(database.url()).await.unwrap();
    for _ in 0..2 {
        for migration in postgres::MIGRATIONS {
            sqlx::raw_sql(migration).execute(&by_hand).await.unwrap();
        }
    }
    assert_eq!(postgres_tables(&by_hand).await, postgres_tables(&shop.pool).await);
    let store = PostgresStore::new(by_hand);
    store.migrate().await.unwrap();
    started(&store, &begin("k")).await;
}

#[tokio::test]
async fn on_sqlite_records_of_the_first_version_are_brought_along() {
    let directory = tempfile::tempdir().unwrap();
    let pools = sqlite::connect(directory.path().join("shop.db")).await.unwrap();
    sqlx::raw_sql(sqlite::MIGRATIONS[0]).execute(&pools.writer).await.unwrap();
    let (running, done) = (begin("running"), begin("done"));
    for (call, fence, state) in [(&running, 1, "started"), (&done, 2, "completed")] {
        let insert = "INSERT INTO aplomb_idempotency_records (id, scope, caller, method, route, \
             key, fingerprint, created_at, state, fence, attempt, ticket, lease_until, status, \
             headers, body, expires_at) VALUES (?, 'principal', 'shop', 'POST', '/orders', ?, ?, \
             1, ?, ?, 1, zeroblob(16), 1, 201, x'01', CAST('made' AS BLOB), ?)";
        let ends = (state == "completed").then_some(i64::MAX / 2);
        let insert = sqlx::query(insert).bind(&call.identity.id().as_bytes()[..]);
        let insert =
            insert.bind(call.identity.key.as_str()).bind(call.fingerprint.to_bytes().to_vec());
        insert.bind(state).bind(fence).bind(ends).execute(&pools.writer).await.unwrap();
    }
    let last = "UPDATE aplomb_idempotency_fence SET last = 2";
    sqlx::query(last).execute(&pools.writer).await.unwrap();

    let store = SqliteStore::new(pools.writer);
    store.migrate().await.unwrap();
    assert_eq!(store.begin(&done).await.unwrap(), Begun::Replay(answer("made")));
    let record = store.get(done.identity.id()).await.unwrap().unwrap();
    let State::Completed { expires, retired_until, .. } = record.state else { panic!("it is") };
    assert_eq!(expires, retired_until);
    let again = Begin { lapsed: Lapsed::AtLeastOnce, ..running.clone() };
    let again = started(&store, &again).await;
    assert_eq!((again.attempt, again.after_lapse), (2, true));
    assert!(again.fence.get() > 2);
}

#[tokio::test]
async fn on_sqlite_a_process_of_the_first_version_goes_on_beside_new_ones() {
    let directory = tempfile::tempdir().unwrap();
    let pools = sqlite::connect(directory.path().join("shop.db")).await.unwrap();
    let store = SqliteStore::new(pools.writer.clone());
    store.migrate().await.unwrap();
    // The statements of that version, which knows neither `lapsed` nor `retired_until`.
    let old = begin("old");
    let insert = "INSERT INTO aplomb_idempotency_records (id, scope, caller, method, route, key, \
         fingerprint, created_at, state, fence, attempt, ticket, lease_until) \
         VALUES (?, 'principal', 'shop', 'POST', '/orders', ?, ?, 1, 'started', \
         (SELECT last + 1 FROM aplomb_idempotency_fence), 1, zeroblob(16), ?)";
    let insert = sqlx::query(insert).bind(&old.identity.id().as_bytes()[..]);
    let insert = insert.bind(old.identity.key.as_str()).bind(old.fingerprint.to_bytes().to_vec());
    insert.bind(i64::MAX / 4).execute(&pools.writer).await.unwrap();
    let drawn = "UPDATE aplomb_idempotency_fence SET last = last + 1";
    sqlx::query(drawn).execute(&pools.writer).await.unwrap();
    assert_eq!(store.begin(&old).await.unwrap(), Begun::InFlight, "the old claim holds");
    assert!(started(&store, &begin("new")).await.fence.get() > 1, "they draw from one counter");

    let complete = "UPDATE aplomb_idempotency_records SET state = 'completed', status = 201, \
         headers = x'01', body = CAST('made' AS BLOB), expires_at = ? \
         WHERE id = ? AND state = 'started'";
    let complete = sqlx::query(complete).bind(i64::MAX / 4);
    let complete = complete.bind(&old.identity.id().as_bytes()[..]);
    complete.execute(&pools.writer).await.unwrap();
    assert_eq!(store.begin(&old).await.unwrap(), Begun::Replay(answer("made")));
    let record = store.get(old.identity.id()).await.unwrap().unwrap();
    let State::Completed { expires, retired_until, .. } = record.state else { panic!("it is") };
    assert_eq!(expires, retired_until, "that version refuses no key after its answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_sqlite_several_processes_may_start_on_a_new_file_at_once() {
    for _ in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let starts = (0..6).map(|n| {
            let path = directory.path().join("shop.db");
            tokio::spawn(async move {
                let store = SqliteStore::new(sqlite::connect(path).await.unwrap().writer);
                store.migrate().await.unwrap();
                started(&store, &begin(&format!("k{n}"))).await.fence
            })
        });
        let fences = join_all(starts).await.into_iter().map(Result::unwrap);
        assert_eq!(fences.map(Fence::get).max(), Some(6));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_postgres_several_processes_may_start_on_a_new_database_at_once() {
    let database = servers::Postgres::start().unwrap();
    let starts = (0..6).map(|n| {
        let url = database.url().to_owned();
        tokio::spawn(async move {
            let store = PostgresStore::new(PgPool::connect(&url).await.unwrap());
            store.migrate().await.unwrap();
            started(&store, &begin(&format!("k{n}"))).await;
        })
    });
    for start in join_all(starts).await {
        start.unwrap();
    }
}

#[tokio::test]
async fn on_sqlite_a_writer_that_could_lose_commits_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let careless = sqlite::options(directory.path().join("shop.db"));
    let careless = careless.synchronous(SqliteSynchronous::Normal);
    for options in [careless, SqliteConnectOptions::new().in_memory(true)] {
        let store = SqliteStore::new(SqlitePool::connect_with(options).await.unwrap());
        let error = store.migrate().await.unwrap_err();
        assert!(error.to_string().contains("sqlite::connect"), "{error}");
    }
}

#[tokio::test]
async fn on_postgres_a_user_whose_commits_could_be_lost_is_refused() {
    let database = servers::Postgres::start().unwrap();
    let careless = postgres::options(database.url()).unwrap();
    let careless = careless.options([("synchronous_commit", "off")]);
    let store = PostgresStore::new(PgPool::connect_with(careless).await.unwrap());
    let error = store.migrate().await.unwrap_err();
    assert!(error.to_string().contains("synchronous_commit"), "{error}");
}

/// What the database says of a record is what the rules say: a sweep finds it by its index.
#[tokio::test]
async fn a_record_is_due_in_the_database_when_it_is_by_the_rules() {
    due_when_the_rules_say(SqliteShop::open().await).await;
    due_when_the_rules_say(PostgresShop::open().await).await;
}

async fn due_when_the_rules_say<S: Shop>(shop: S) {
    let store = shop.store();
    let mut all = Vec::new();
    for lapsed in [Lapsed::Unknown, Lapsed::RunAgain, Lapsed::Recover, Lapsed::AtLeastOnce] {
        all.push(claim(store, &Begin { lapsed, ..begin(lapsed.as_str()) }).await);
    }
    let (released, unknown, done) = (begin("released"), begin("doubt"), begin("done"));
    let released = claim(store, &released).await;
    let _ = store.abandon(released, Duration::from_secs(9)).await.unwrap();
    let unknown = claim(store, &unknown).await;
    let _ = store.mark_unknown(unknown).await.unwrap();
    let done = claim(store, &done).await;
    let keep = aplomb_testkit::store::KEEP;
    let _ = store.complete(done, &answer("x"), keep).await.unwrap();
    all.extend([released, unknown, done]);
    for held in all {
        let state = aplomb_testkit::store::state(store, held).await.unwrap();
        let due = state.due().map_or(-1, Timestamp::as_millis);
        let column = format!(
            "SELECT coalesce(due_at, -1) FROM aplomb_idempotency_records WHERE id = {}",
            S::id(held.id)
        );
        assert_eq!(shop.number(column).await, due, "{state:?}");
    }
}

async fn sqlite_tables(pool: &SqlitePool) -> Vec<String> {
    let tables = "SELECT sql FROM sqlite_schema \
         WHERE name LIKE 'aplomb%' AND sql IS NOT NULL ORDER BY name";
    sqlx::query_scalar(tables).fetch_all(pool).await.unwrap()
}

async fn postgres_tables(pool: &PgPool) -> Vec<String> {
    let columns = "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, \
             column_default, is_identity, generation_expression) \
             FROM information_schema.columns WHERE table_name LIKE 'aplomb%' \
         UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'aplomb%' \
         UNION ALL SELECT concat_ws(' ', conname, pg_get_constraintdef(oid)) FROM pg_constraint \
             WHERE conname LIKE 'aplomb%' \
         ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(columns).fetch_all(pool).await.unwrap();
    assert!(tables.len() > 30, "{tables:?}");
    tables
}
