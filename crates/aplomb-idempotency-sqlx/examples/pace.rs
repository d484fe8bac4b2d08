//! How fast the stores are, beside what their databases can do at best, in one run.
//!
//! `cargo run --release --example pace -p aplomb-idempotency-sqlx`
//!
//! Disks differ by a factor of twenty, and so do moments of one: only the ratios mean something.

use std::error::Error;
use std::future::Future;

use aplomb_core::{Principal, time};
use aplomb_idempotency::{
    Begin, Begun, Fingerprint, Held, Identity, Keep, Key, Lapsed, Scope, Store, StoredAnswer,
    Ticket,
};
use aplomb_idempotency_sqlx::{PostgresStore, SqliteStore, postgres, sqlite};
use aplomb_testkit::servers;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{HeaderMap, Method, StatusCode, Uri};
use sqlx::{PgPool, SqliteConnection, SqlitePool};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    println!("{CALLERS} callers at once, a second: the median of {ROUNDS} rounds");
    on_sqlite().await?;
    on_postgres().await
}

async fn on_sqlite() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let pools = sqlite::connect(directory.path().join("pace.db")).await?;
    sqlx::raw_sql("CREATE TABLE bare (id TEXT PRIMARY KEY, body BLOB) STRICT")
        .execute(&pools.writer)
        .await?;
    let store = SqliteStore::new(pools.writer.clone());
    store.migrate().await?;
    let mut figures = Figures::default();
    for round in 0..ROUNDS {
        figures.take("two commits each", ALONE, sqlite_alone(&pools.writer, round)).await?;
        figures.take("two commits for all", CALLERS, sqlite_grouped(&pools.writer, round)).await?;
        figures.take("begin, complete", CALLERS, pairs(&store, round)).await?;
        figures.take("bare read", CALLERS, sqlite_reads(&pools.reader, round)).await?;
        figures.take("replay", CALLERS, replays(&store, round)).await?;
    }
    figures.print("SQLite", &[("begin, complete", "two commits each")]);
    figures.print("", &[("begin, complete", "two commits for all"), ("replay", "bare read")]);
    Ok(())
}

async fn on_postgres() -> Result<()> {
    let server = servers::Postgres::start()?;
    let pool = postgres::connect(server.url()).await?;
    sqlx::raw_sql("CREATE TABLE bare (id TEXT PRIMARY KEY, body BYTEA)").execute(&pool).await?;
    let store = PostgresStore::new(pool.clone());
    store.migrate().await?;
    let mut figures = Figures::default();
    for round in 0..ROUNDS {
        figures.take("insert, update", CALLERS, postgres_pairs(&pool, round)).await?;
        figures.take("begin, complete", CALLERS, pairs(&store, round)).await?;
        figures.take("bare read", CALLERS, postgres_reads(&pool, round)).await?;
        figures.take("replay", CALLERS, replays(&store, round)).await?;
    }
    figures.print("Postgres", &[("begin, complete", "insert, update"), ("replay", "bare read")]);
    Ok(())
}

/// The times of each item, in pairs a second.
#[derive(Default)]
struct Figures(Vec<(&'static str, Vec<f64>)>);

impl Figures {
    /// Times `REPEATS` times `pairs` of something.
    async fn take(
        &mut self,
        name: &'static str,
        pairs: usize,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let start = time::now();
        work.await?;
        let count = u32::try_from(pairs * REPEATS)?;
        let rate = f64::from(count) / (time::now() - start).as_secs_f64();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rates)) => rates.push(rate),
            None => self.0.push((name, vec![rate])),
        }
        Ok(())
    }

    fn print(&self, title: &str, ratios: &[(&str, &str)]) {
        if !title.is_empty() {
            println!("\n{title}");
            for (name, _) in &self.0 {
                println!("  {name:<22}{:>10.0}", self.median(name));
            }
        }
        for (item, floor) in ratios {
            let ratio = self.median(item) / self.median(floor);
            println!("  {item} / {floor}: {ratio:.2}");
        }
    }

    fn median(&self, name: &str) -> f64 {
        let rates = self.0.iter().find(|(known, _)| *known == name);
        let mut rates = rates.map(|(_, rates)| rates.clone()).unwrap_or_default();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    }
}

async fn sqlite_alone(writer: &SqlitePool, round: usize) -> Result<()> {
    for n in 0..ALONE * REPEATS {
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlite_insert(&mut tx, &format!("alone-{round}-{n}")).await?;
        tx.commit().await?;
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlite_update(&mut tx, &format!("alone-{round}-{n}")).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn sqlite_grouped(writer: &SqlitePool, round: usize) -> Result<()> {
    for repeat in 0..REPEATS {
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        for n in 0..CALLERS {
            sqlite_insert(&mut tx, &format!("grouped-{round}-{repeat}-{n}")).await?;
        }
        tx.commit().await?;
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        for n in 0..CALLERS {
            sqlite_update(&mut tx, &format!("grouped-{round}-{repeat}-{n}")).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn sqlite_insert(connection: &mut SqliteConnection, id: &str) -> Result<()> {
    sqlx::query("INSERT INTO bare (id) VALUES (?)").bind(id).execute(connection).await?;
    Ok(())
}

async fn sqlite_update(connection: &mut SqliteConnection, id: &str) -> Result<()> {
    let update = "UPDATE bare SET body = ? WHERE id = ?";
    sqlx::query(update).bind(BODY).bind(id).execute(connection).await?;
    Ok(())
}

async fn sqlite_reads(reader: &SqlitePool, round: usize) -> Result<()> {
    crowd(|n, repeat| async move {
        let id = begin(&format!("{round}-{repeat}-{n}"))?.identity.id();
        let read = sqlx::query(READ).bind(&id.as_bytes()[..]);
        read.fetch_one(reader).await?;
        Ok(())
    })
    .await
}

async fn postgres_pairs(pool: &PgPool, round: usize) -> Result<()> {
    crowd(|n, repeat| async move {
        let id = format!("{round}-{repeat}-{n}");
        sqlx::query("INSERT INTO bare (id) VALUES ($1)").bind(&id).execute(pool).await?;
        let update = "UPDATE bare SET body = $1 WHERE id = $2";
        sqlx::query(update).bind(BODY).bind(&id).execute(pool).await?;
        Ok(())
    })
    .await
}

async fn postgres_reads(pool: &PgPool, round: usize) -> Result<()> {
    crowd(|n, repeat| async move {
        let id = begin(&format!("{round}-{repeat}-{n}"))?.identity.id();
        sqlx::query(READ).bind(&id.as_bytes()[..]).fetch_one(pool).await?;
        Ok(())
    })
    .await
}

async fn pairs<S: Store>(store: &S, round: usize) -> Result<()> {
    crowd(|n, repeat| async move {
        let begin = begin(&format!("{round}-{repeat}-{n}"))?;
        let Begun::Claimed(started) = store.begin(&begin).await? else {
            return Err("known".into());
        };
        let held = Held { id: begin.identity.id(), fence: started.fence };
        let body = Some(Bytes::from_static(BODY));
        let answer = StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), body, 1024);
        let _ = store.complete(held, &answer, Keep { answer: DAY, key: DAY }).await?;
        Ok(())
    })
    .await
}

async fn replays<S: Store>(store: &S, round: usize) -> Result<()> {
    crowd(|n, repeat| async move {
        match store.begin(&begin(&format!("{round}-{repeat}-{n}"))?).await? {
            Begun::Replay(_) => Ok(()),
            _ => Err("unknown".into()),
        }
    })
    .await
}

/// Does something with as many callers at once.
async fn crowd<F: Future<Output = Result<()>>>(work: impl Fn(usize, usize) -> F) -> Result<()> {
    let work = &work;
    let callers = (0..CALLERS).map(|n| async move {
        for repeat in 0..REPEATS {
            work(n, repeat).await?;
        }
        Ok(())
    });
    try_join_all(callers).await.map(|_| ())
}

fn begin(key: &str) -> Result<Begin> {
    let scope = Scope::Principal(Principal::new("shop"));
    let (method, uri) = (Method::POST, Uri::from_static("/orders"));
    let fingerprint = Fingerprint::of(&method, &uri, &HeaderMap::new(), &[], b"");
    Ok(Begin {
        identity: Identity::new(scope, method, "/orders", Key::try_from(key)?),
        fingerprint,
        lease: DAY,
        lapsed: Lapsed::Unknown,
        ticket: Ticket::unique(),
    })
}

const CALLERS: usize = 64;
const ALONE: usize = 8;
const REPEATS: usize = 20;
const ROUNDS: usize = 5;
const DAY: time::Duration = time::Duration::from_secs(86_400);
/// What a replay cannot do without.
const READ: &str = "SELECT state, fingerprint, expires_at, status, headers, body \
     FROM aplomb_idempotency_records WHERE id = $1";
const BODY: &[u8] = &[b'x'; 1024];
