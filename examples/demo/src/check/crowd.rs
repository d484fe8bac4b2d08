//! Customers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::time::{self, Instant};
use futures_util::future::{join_all, try_join_all};
use http::StatusCode;

use super::stage::Stage;
use crate::client::Answer;
use crate::trouble::Trouble;

/// How long a customer waited for which answer.
pub(crate) type Waited = (Duration, Answer);

/// Eight customers share so many orders among them; each waits for an answer before the next one.
pub(crate) async fn share_out<T>(orders: u64, place: impl AsyncFn(u64) -> T) -> Vec<T> {
    let next = AtomicU64::new(0);
    let customers = (0..CUSTOMERS).map(async |_| {
        let mut answers = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= orders {
                return answers;
            }
            answers.push(place(number).await);
        }
    });
    join_all(customers).await.into_iter().flatten().collect()
}

impl Stage<'_> {
    /// Eight who order one piece, and order again, until then.
    pub(crate) async fn crowd(
        &self,
        name: &str,
        sku: &str,
        until: Instant,
    ) -> Result<Vec<Waited>, Trouble> {
        let customers =
            (0..CUSTOMERS).map(|number| self.keep_ordering(format!("{name}-{number}"), sku, until));
        Ok(try_join_all(customers).await?.into_iter().flatten().collect())
    }

    async fn keep_ordering(
        &self,
        customer: String,
        sku: &str,
        until: Instant,
    ) -> Result<Vec<Waited>, Trouble> {
        let mut answers = Vec::new();
        while time::now() < until {
            let key = self.name(&format!("{customer}-{}", answers.len()));
            answers.push(self.order_once(&key, sku).await?);
            tokio::time::sleep(CLICK).await;
        }
        Ok(answers)
    }

    /// One click, one answer.
    pub(crate) async fn order_once(&self, key: &str, sku: &str) -> Result<Waited, Trouble> {
        let asked = time::now();
        let answer = self.client().order(key, &[(sku, 1)]).await?;
        Ok((time::now() - asked, answer))
    }

    /// Eight who click until they are told what became of their order, and then order again, until
    /// it is over.
    pub(crate) async fn insistent_crowd(
        &self,
        name: &str,
        sku: &str,
        is_over: impl Fn() -> bool,
    ) -> Result<Insisted, Trouble> {
        let (repeated, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let customers = (0..CUSTOMERS).map(async |number| {
            let mut answers = Vec::new();
            while !is_over() {
                let key = self.name(&format!("{name}-{number}-{}", answers.len()));
                answers.push(self.insist(&key, sku, &repeated, &failed).await?);
                tokio::time::sleep(CLICK).await;
            }
            Ok::<_, Trouble>(answers)
        });
        let answers = try_join_all(customers).await?.into_iter().flatten().collect();
        let (repeated, failed) = (repeated.into_inner(), failed.into_inner());
        Ok(Insisted { answers, repeated, failed })
    }

    /// The same click until there is an answer that says what became of the order.
    async fn insist(
        &self,
        key: &str,
        sku: &str,
        repeated: &AtomicU64,
        failed: &AtomicU64,
    ) -> Result<Answer, Trouble> {
        let until = time::now() + PATIENCE;
        loop {
            let heard = self.client().order(key, &[(sku, 1)]).await;
            if let Ok(answer) = &heard {
                if !answer.order_id().is_empty()
                    && answer.status != StatusCode::UNPROCESSABLE_ENTITY
                {
                    return heard;
                }
                failed.fetch_add(u64::from(answer.status.is_server_error()), Ordering::Relaxed);
            }
            if time::now() > until {
                let heard = heard.map_or_else(|error| error.to_string(), |a| a.status.to_string());
                return Err(Trouble::new(format!(
                    "{key} was clicked for {PATIENCE:?} and is still told: {heard}"
                )));
            }
            repeated.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// What came of clicking until there was an answer.
pub(crate) struct Insisted {
    pub(crate) answers: Vec<Answer>,
    /// How many clicks were not the first for their order.
    pub(crate) repeated: u64,
    /// How many were answered with a failure of the server's.
    pub(crate) failed: u64,
}

pub(crate) fn median(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    waits.get(waits.len() / 2).copied().unwrap_or(Duration::MAX)
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) const CUSTOMERS: u64 = 8;
/// Between two clicks of one customer.
pub(crate) const CLICK: Duration = Duration::from_millis(10);
/// Before the same click again.
const AGAIN: Duration = Duration::from_millis(50);
/// A process that was killed holds its keys for two seconds; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
