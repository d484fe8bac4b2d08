//! Interleaved rounds of everything that one store is measured at.

use std::any::Any;

use aplomb_bench::sheet::{Limit, Row, median, share};
use aplomb_core::time::{self, Duration};
use tokio::task::JoinSet;

use crate::work::{Call, Result, Work};

/// A store, its floor, the server that both are on.
pub(crate) struct Prepared {
    name: &'static str,
    items: Vec<Item>,
    /// Lives as long as the items that use it.
    _server: Box<dyn Any + Send + Sync>,
}

/// One thing that is measured with so many in flight.
pub(crate) struct Item {
    name: &'static str,
    in_flight: usize,
    beside: Option<(&'static str, usize, Option<Limit>)>,
    /// Made once more for each round.
    work: Box<dyn Fn() -> Work>,
}

impl Item {
    pub(crate) fn new(
        name: &'static str,
        in_flight: usize,
        work: impl Fn() -> Work + 'static,
    ) -> Self {
        Self { name, in_flight, beside: None, work: Box::new(work) }
    }

    /// Compared with the item of this name that has as many in flight.
    pub(crate) fn beside(self, name: &'static str, limit: Option<Limit>) -> Self {
        let in_flight = self.in_flight;
        self.beside_with(name, in_flight, limit)
    }

    /// Compared with the item of this name that has so many in flight.
    pub(crate) fn beside_with(
        self,
        name: &'static str,
        in_flight: usize,
        limit: Option<Limit>,
    ) -> Self {
        Self { beside: Some((name, in_flight, limit)), ..self }
    }
}

impl Prepared {
    pub(crate) fn new(
        name: &'static str,
        items: Vec<Item>,
        server: impl Any + Send + Sync,
    ) -> Self {
        Self { name, items, _server: Box::new(server) }
    }

    /// A row for each item.
    pub(crate) async fn measured(&self) -> Result<Vec<Row>> {
        let mut rates: Vec<_> = self.items.iter().map(|_| Vec::new()).collect();
        for round in 0..=ROUNDS {
            eprintln!("{}: round {round} of {ROUNDS}", self.name);
            for (item, rates) in self.items.iter().zip(&mut rates) {
                let rate = rate((item.work)(), item.in_flight, round).await?;
                // The first one warms up what is cached.
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        Ok(self.items.iter().zip(&rates).map(|(item, own)| self.row(item, own, &rates)).collect())
    }

    fn row(&self, item: &Item, own: &[f64], rates: &[Vec<f64>]) -> Row {
        let name = format!("{} {}", self.name, item.name);
        let row = Row::new([name, item.in_flight.to_string(), format!("{:.0}", median(own))]);
        let Some((floor, in_flight, limit)) = item.beside else { return row };
        let is_floor = |other: &&Item| other.name == floor && other.in_flight == in_flight;
        let floors = self.items.iter().zip(rates).find(|(other, _)| is_floor(other));
        let Some((_, floor_rates)) = floors else { return row };
        row.beside(share(own, floor_rates), floor, limit)
    }
}

/// How much is done a second.
async fn rate(work: Work, in_flight: usize, round: usize) -> Result<f64> {
    let start = time::now();
    let mut callers = JoinSet::new();
    for caller in 0..in_flight {
        let work = work.clone();
        callers.spawn(async move {
            let (mut done, mut number) = (0_u32, 0);
            while start.elapsed() < TIME {
                done += work(Call { round, in_flight, caller, number }).await?;
                number += 1;
            }
            Ok::<_, aplomb_core::BoxError>(done)
        });
    }
    let mut done = 0;
    while let Some(caller) = callers.join_next().await {
        done += caller??;
    }
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}

const ROUNDS: usize = 7;
/// For how long each item is measured in a round.
const TIME: Duration = Duration::from_millis(300);
