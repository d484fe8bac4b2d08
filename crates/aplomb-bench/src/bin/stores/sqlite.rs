//! The store on SQLite, beside transactions of one caller, transactions of sixty-four.

use std::sync::Arc;

use aplomb_bench::sheet::Limit;
use aplomb_idempotency_sqlx::{SqliteStore, sqlite};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{SqliteConnection, SqlitePool};

use crate::rounds::{Item, Prepared};
use crate::work::{BODY, Call, LEVELS, Result, Work, answered, both, work};

pub(crate) async fn prepared() -> Result<Prepared> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("stores.db");
    let pools = sqlite::connect(&path).await?;
    sqlx::raw_sql("CREATE TABLE bare (id TEXT PRIMARY KEY, body BLOB) STRICT")
        .execute(&pools.writer)
        .await?;
    let store = Arc::new(SqliteStore::new(pools.writer.clone()));
    store.migrate().await?;
    answered(&*store).await?;
    // As the store's own reader.
    let reader = SqlitePoolOptions::new().max_connections(4).test_before_acquire(false);
    let reader = reader.connect_with(sqlite::options(&path).pragma("query_only", "on")).await?;
    let (writer, other) = (pools.writer.clone(), pools.writer.clone());
    let mut items = vec![
        Item::new(ALONE, 1, move || commits(&writer, 1)),
        Item::new(GROUP, 1, move || commits(&other, SIXTY_FOUR)),
    ];
    for in_flight in LEVELS.into_iter().chain([SIXTY_FOUR]) {
        let reader = reader.clone();
        items.push(Item::new(READ, in_flight, move || reads(&reader)));
        let [first, replay] = both(&store, in_flight, (ALONE, None), READ);
        let first = match in_flight {
            1 => first,
            SIXTY_FOUR => first.beside_with(GROUP, 1, Some(Limit::least(0.5).goal(0.8))),
            _ => first.beside_with(GROUP, 1, None),
        };
        items.extend([first, replay]);
    }
    Ok(Prepared::new("SQLite", items, (directory, pools)))
}

/// Inserts so many rows and commits, updates them and commits.
fn commits(writer: &SqlitePool, together: usize) -> Work {
    let writer = writer.clone();
    work(move |call| {
        let writer = writer.clone();
        async move { pair(&writer, call, together).await }
    })
}

async fn pair(writer: &SqlitePool, call: Call, together: usize) -> Result<u32> {
    let id = |number| format!("{}-{number}-{together}", call.key("pair"));
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    for number in 0..together {
        insert(&mut tx, &id(number)).await?;
    }
    tx.commit().await?;
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    for number in 0..together {
        update(&mut tx, &id(number)).await?;
    }
    tx.commit().await?;
    Ok(u32::try_from(together)?)
}

async fn insert(connection: &mut SqliteConnection, id: &str) -> Result<()> {
    sqlx::query("INSERT INTO bare (id) VALUES (?)").bind(id).execute(connection).await?;
    Ok(())
}

async fn update(connection: &mut SqliteConnection, id: &str) -> Result<()> {
    let update = "UPDATE bare SET body = ? WHERE id = ?";
    sqlx::query(update).bind(BODY).bind(id).execute(connection).await?;
    Ok(())
}

fn reads(reader: &SqlitePool) -> Work {
    let reader = reader.clone();
    work(move |call| {
        let reader = reader.clone();
        async move {
            let id = call.known_id()?;
            sqlx::query(RECORD).bind(&id.as_bytes()[..]).fetch_one(&reader).await?;
            Ok(1)
        }
    })
}

const ALONE: &str = "commits of one";
const GROUP: &str = "commits of 64";
const READ: &str = "`SELECT`";
const SIXTY_FOUR: usize = 64;
/// What a replay cannot do without.
const RECORD: &str = "SELECT state, fingerprint, expires_at, status, headers, body \
     FROM aplomb_idempotency_records WHERE id = $1";
