//! Dead letters, on whichever database they lie.

use std::time::Duration;

use aplomb_dead_letter::machine::Step;
use aplomb_dead_letter::{
    AuditEntry, Letter, LetterId, Listing, Record, Sink, SinkError, StepError, Stored,
};
use aplomb_dead_letter_sqlx::SqlSink;
use aplomb_inventory_service::database::Database;
use sqlx::{Postgres, Sqlite};

/// The letters beside the orders. They are never swept: an order's fulfilment is read off them.
#[derive(Clone, Debug)]
pub(crate) enum Letters {
    Sqlite(SqlSink<Sqlite>),
    Postgres(SqlSink<Postgres>),
}

impl Letters {
    pub(crate) fn beside(database: &Database) -> Self {
        match database {
            Database::Sqlite(pools) => Self::Sqlite(SqlSink::new(pools.writer.clone())),
            Database::Postgres(pool) => Self::Postgres(SqlSink::new(pool.clone())),
        }
    }
}

/// Asks whichever sink it is.
macro_rules! ask {
    ($letters:expr, $sink:ident => $question:expr) => {
        match $letters {
            Letters::Sqlite($sink) => $question.await,
            Letters::Postgres($sink) => $question.await,
        }
    };
}

impl Sink for Letters {
    async fn store(&self, letter: &Letter) -> Result<Stored, SinkError> {
        ask!(self, sink => sink.store(letter))
    }

    async fn step(&self, id: LetterId, step: &Step) -> Result<Record, StepError> {
        ask!(self, sink => sink.step(id, step))
    }

    async fn get(&self, id: LetterId) -> Result<Option<Record>, SinkError> {
        ask!(self, sink => sink.get(id))
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, SinkError> {
        ask!(self, sink => sink.list(listing))
    }

    async fn audit(&self, of: Option<LetterId>, most: usize) -> Result<Vec<AuditEntry>, SinkError> {
        ask!(self, sink => sink.audit(of, most))
    }

    async fn sweep(&self, keep: Duration, most: usize) -> Result<usize, SinkError> {
        ask!(self, sink => sink.sweep(keep, most))
    }
}
