//! The store on Postgres, beside bare statements on a pool of as many connections.

use std::sync::Arc;

use aplomb_bench::sheet::Limit;
use aplomb_idempotency_sqlx::{PostgresStore, postgres};
use aplomb_testkit::servers;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::rounds::{Item, Prepared};
use crate::work::{BODY, LEVELS, Result, Work, answered, both, work};

pub(crate) async fn prepared() -> Result<Prepared> {
    let server = servers::Postgres::start()?;
    // As the store's own: no round trip to see whether a connection still lives.
    let pool = PgPoolOptions::new().max_connections(10).test_before_acquire(false);
    let pool = pool.connect_with(postgres::options(server.url())?).await?;
    sqlx::raw_sql("CREATE TABLE bare (id TEXT PRIMARY KEY, body BYTEA)").execute(&pool).await?;
    let store = Arc::new(PostgresStore::new(pool.clone()));
    store.migrate().await?;
    answered(&*store).await?;
    let mut items = Vec::new();
    for in_flight in LEVELS {
        let (one, other) = (pool.clone(), pool.clone());
        items.push(Item::new(PAIR, in_flight, move || pairs(&one)));
        items.push(Item::new(READ, in_flight, move || reads(&other)));
        let first = Some(Limit::least(0.8).goal(1.0));
        items.extend(both(&store, in_flight, (PAIR, first), READ));
    }
    Ok(Prepared::new("Postgres", items, server))
}

fn pairs(pool: &PgPool) -> Work {
    let pool = pool.clone();
    work(move |call| {
        let (pool, id) = (pool.clone(), call.key("pair"));
        async move {
            sqlx::query("INSERT INTO bare (id) VALUES ($1)").bind(&id).execute(&pool).await?;
            let update = "UPDATE bare SET body = $1 WHERE id = $2";
            sqlx::query(update).bind(BODY).bind(&id).execute(&pool).await?;
            Ok(1)
        }
    })
}

fn reads(pool: &PgPool) -> Work {
    let pool = pool.clone();
    work(move |call| {
        let pool = pool.clone();
        async move {
            let id = call.known_id()?;
            sqlx::query(RECORD).bind(&id.as_bytes()[..]).fetch_one(&pool).await?;
            Ok(1)
        }
    })
}

const PAIR: &str = "`INSERT`, `UPDATE`";
const READ: &str = "`SELECT`";
/// What a replay cannot do without.
const RECORD: &str = "SELECT state, fingerprint, expires_at, status, headers, body \
     FROM aplomb_idempotency_records WHERE id = $1";
