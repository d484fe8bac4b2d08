//! The tables are made once, by however many processes, and not touched by an older version.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use aplomb_dead_letter_sqlx::{Backend, Outbox, SqlSink, postgres, sqlite};
use futures_util::future::join_all;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Pool, SqlitePool};

use common::{Shop, on_both, on_postgres, on_sqlite, shipment};

on_both!(tables_of_a_later_version_are_refused, a_migration_that_has_run_changes_nothing,);

async fn tables_of_a_later_version_are_refused<D: Backend>(shop: Shop<D>)
where
    for<'c> &'c mut D::Connection: sqlx::Executor<'c, Database = D>,
{
    let later = "INSERT INTO aplomb_dead_letter_schema (version, applied_at) VALUES (99, 0)";
    let mut connection = shop.pool.acquire().await.unwrap();
    sqlx::raw_sql(later).execute(&mut *connection).await.unwrap();
    drop(connection);
    let refused = shop.sink.migrate().await.unwrap_err();
    assert!(refused.to_string().contains("later version"), "{refused}");
}

async fn a_migration_that_has_run_changes_nothing<D: Backend>(shop: Shop<D>) {
    shop.enqueue(&shipment("a")).await;
    shop.sink.migrate().await.unwrap();
    shop.outbox.migrate().await.unwrap();
    assert_eq!(shop.jobs().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_start_at_once_make_the_tables_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let starts = (0..8).map(|_| {
        let path = path.clone();
        tokio::spawn(async move { migrated(sqlite::connect(path).await.unwrap()).await })
    });
    join_all(starts).await.into_iter().for_each(|start| start.unwrap());

    let server = common::postgres().await;
    let starts = (0..8).map(|_| {
        let url = server.url().to_owned();
        tokio::spawn(async move {
            let pool = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
            migrated(pool).await;
        })
    });
    join_all(starts).await.into_iter().for_each(|start| start.unwrap());
}

async fn migrated<D: Backend>(pool: Pool<D>) {
    SqlSink::new(pool.clone()).migrate().await.unwrap();
    assert_eq!(Outbox::new(pool).depth().await.unwrap().jobs, 0);
}

#[tokio::test]
async fn a_file_that_would_lose_commits_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = sqlite::options(directory.path().join("shop.db"));
    let hasty = options.synchronous(sqlx::sqlite::SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().connect_with(hasty).await.unwrap();
    let refused = SqlSink::new(pool).migrate().await.unwrap_err();
    assert!(refused.to_string().contains("synchronous=FULL"), "{refused}");
}

#[tokio::test]
async fn other_processes_see_what_one_has_written() {
    let shop = on_sqlite().await;
    shop.enqueue(&shipment("a")).await;
    let again: SqlitePool = shop.again().await;
    assert_eq!(Outbox::new(again).depth().await.unwrap().jobs, 1);
    let shop = on_postgres().await;
    shop.enqueue(&shipment("a")).await;
    assert_eq!(Outbox::new(shop.again().await).depth().await.unwrap().jobs, 1);
}

#[test]
fn each_migration_says_its_version() {
    for migrations in [&sqlite::MIGRATIONS[..], &postgres::MIGRATIONS] {
        for (index, migration) in migrations.iter().enumerate() {
            assert!(migration.contains(&format!("VALUES ({}, ", index + 1)), "{}", index + 1);
        }
    }
}
