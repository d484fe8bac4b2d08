//! What went over the wire, as the services' own metrics tell it.

use std::ops::Sub;

use crate::client::Client;
use crate::trouble::Trouble;

/// Counts since the processes that live now were started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wire {
    /// Reservations that were sent to Inventory.
    pub(crate) sends: u64,
    /// Those of them that were not the first for their call.
    pub(crate) retries: u64,
    /// Calls that reservations were made by.
    pub(crate) calls: u64,
    /// Times that the circuit of reservations opened: once when it tripped, and once for each probe
    /// that failed.
    pub(crate) opened: u64,
    /// Times that Inventory was left alone for a moment after failures.
    pub(crate) pauses: u64,
    /// Answers that Inventory replayed.
    pub(crate) replays: u64,
}

impl Wire {
    /// As it stands now.
    pub(crate) async fn read(client: &Client) -> Result<Self, Trouble> {
        let pages = client.metrics().await?;
        let sum = |name: &str| pages.iter().map(|page| total(page, name, RESERVE)).sum::<u64>();
        // An attempt that a circuit, a pause or the bulkhead held back was not sent.
        let attempts = sum("retry_attempts_per_call_sum");
        let held_back = sum("circuit_breaker_rejected_total")
            + sum("backoff_refused_total")
            + sum("admission_rejected_total");
        Ok(Self {
            sends: attempts.saturating_sub(held_back),
            retries: sum("retry_attempts_total"),
            calls: sum("retry_attempts_per_call_count"),
            opened: sum("circuit_breaker_open_total"),
            pauses: sum("backoff_pauses_total"),
            replays: pages.iter().map(|page| total(page, "idempotency_key_reused_total", "")).sum(),
        })
    }
}

impl Sub for Wire {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        let since = |now: u64, then: u64| now.saturating_sub(then);
        Self {
            sends: since(self.sends, earlier.sends),
            retries: since(self.retries, earlier.retries),
            calls: since(self.calls, earlier.calls),
            opened: since(self.opened, earlier.opened),
            pauses: since(self.pauses, earlier.pauses),
            replays: since(self.replays, earlier.replays),
        }
    }
}

/// The sum of all series of this name with these labels in them.
fn total(page: &str, name: &str, labels: &str) -> u64 {
    let series = page.lines().filter_map(|line| line.strip_prefix(name));
    let values = series.filter_map(|rest| {
        let (found, value) = rest.strip_prefix('{')?.split_once("} ")?;
        found.contains(labels).then(|| value.split('.').next()?.parse::<u64>().ok()).flatten()
    });
    values.sum()
}

const RESERVE: &str = r#"dependency="inventory",operation="reserve""#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_and_operation_are_added_up() {
        let page = "# TYPE sends counter\n\
            sends{dependency=\"inventory\",operation=\"reserve\"} 3\n\
            sends{dependency=\"inventory\",operation=\"reserve\",reason=\"x\"} 4.0\n\
            sends{dependency=\"inventory\",operation=\"release\"} 5\n\
            sends_total{dependency=\"inventory\",operation=\"reserve\"} 6\n";
        assert_eq!(total(page, "sends", RESERVE), 7);
        assert_eq!(total(page, "sends", ""), 12);
        assert_eq!(total(page, "nothing", ""), 0);
    }
}
