//! A database that takes no dead letters.

use aplomb_inventory_service::Place;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::place::Ground;
use crate::trouble::Trouble;

/// The table of letters, closed to new ones until it is given back.
pub(super) enum Room {
    File(SqliteConnection),
    Server(PgConnection),
}

impl Room {
    pub(super) async fn take_away(ground: &Ground) -> Result<Self, Trouble> {
        let taken = async {
            let mut room = Self::of(ground).await?;
            room.run(CLOSE).await?;
            Ok(room)
        };
        taken.await.map_err(unchanged)
    }

    /// Gives back what a check that was stopped half-way took from a database that goes on living.
    pub(super) async fn give_back_at(ground: &Ground) -> Result<(), Trouble> {
        Self::of(ground).await.map_err(unchanged)?.give_back().await
    }

    async fn of(ground: &Ground) -> sqlx::Result<Self> {
        Ok(match &ground.orders {
            Place::File(path) => {
                Self::File(SqliteConnectOptions::new().filename(path).connect().await?)
            }
            Place::Postgres(url) => Self::Server(PgConnection::connect(url).await?),
        })
    }

    pub(super) async fn give_back(mut self) -> Result<(), Trouble> {
        let given = async {
            self.run(OPEN).await?;
            match self {
                Self::File(connection) => connection.close().await,
                Self::Server(connection) => connection.close().await,
            }
        };
        given.await.map_err(unchanged)
    }

    async fn run(&mut self, (sqlite, postgres): (&'static str, &'static str)) -> sqlx::Result<()> {
        match self {
            Self::File(connection) => sqlx::raw_sql(sqlite).execute(connection).await.map(drop),
            Self::Server(connection) => sqlx::raw_sql(postgres).execute(connection).await.map(drop),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn unchanged(error: sqlx::Error) -> Trouble {
    Trouble::new(format!("the table of letters cannot be changed: {error}"))
}

/// On SQLite a trigger refuses new rows, on Postgres a constraint that old ones need not meet.
const CLOSE: (&str, &str) = (
    "CREATE TRIGGER check_no_room BEFORE INSERT ON aplomb_dead_letters
     BEGIN SELECT RAISE(ABORT, 'no room for letters'); END",
    "ALTER TABLE aplomb_dead_letters ADD CONSTRAINT check_no_room CHECK (false) NOT VALID",
);
const OPEN: (&str, &str) = (
    "DROP TRIGGER IF EXISTS check_no_room",
    "ALTER TABLE aplomb_dead_letters DROP CONSTRAINT IF EXISTS check_no_room",
);
