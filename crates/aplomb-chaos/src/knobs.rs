use std::time::Duration;

use aplomb_core::Ratio;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::OutOfRange;

/// How much goes wrong, and how. All zero is calm.
///
/// As JSON the fields have the same names, numbers are plain (`"error_rate": 0.25`), fields left
/// out are zero and unknown fields are refused.
///
/// ```
/// use aplomb_chaos::Knobs;
///
/// let knobs: Knobs = serde_json::from_str(r#"{"error_rate": 0.25, "latency_ms": 300}"#)?;
/// assert_eq!(knobs.error_rate, aplomb_core::Ratio::percent(25));
///
/// let wrong = serde_json::from_str::<Knobs>(r#"{"error_rate": 25}"#).unwrap_err();
/// assert_eq!(wrong.to_string(), "error_rate is 25; give a number from 0 to 1");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
#[expect(
    clippy::exhaustive_structs,
    reason = "set by literal, with `..Knobs::default()` for the rest"
)]
pub struct Knobs {
    /// How long a call waits, in milliseconds; read from JSON at most a minute.
    pub latency_ms: u32,
    /// How much longer it may wait, in milliseconds: a random share of this is added.
    pub latency_jitter_ms: u32,
    /// The share of calls answered with an error before the service is reached.
    pub error_rate: Ratio,
    /// The status of those answers, 400 to 599; 503 when left out (0 in JSON).
    pub error_status: Option<StatusCode>,
    /// The share of answers that are lost after the service made them.
    pub lose_response_rate: Ratio,
    /// The share of calls whose connection is cut before the service is reached.
    pub drop_connection_rate: Ratio,
    /// How many answers are lost from now on, whatever their share.
    pub lose_next: u32,
    /// How many calls a second are let through, the rest answered 503; 0 is no bound.
    pub capacity_per_second: u32,
    /// Whether every connection is cut before the service is reached.
    pub down: bool,
    /// Starts the dice anew from this seed; 0 lets them roll on.
    pub seed: u64,
    /// The share of calls that are taken and never answered.
    pub hang_rate: Ratio,
    /// The share of connections that are refused, where a client connects.
    pub refuse_rate: Ratio,
    /// The share of answers that break off in the middle of their bodies.
    pub cut_body_rate: Ratio,
    /// How long a call works at a place of its own, in milliseconds, once it is its turn; read from
    /// JSON at most a minute. 0 is no work.
    pub work_ms: u32,
    /// At how many places such work is done; 0 is one. What is over
    /// `1000 * workers / work_ms` a second queues, in the order in which it came.
    pub workers: u32,
}

impl Knobs {
    /// Whether no station has anything to do.
    pub fn is_calm(&self) -> bool {
        let Self { error_status, seed, workers, .. } = *self;
        *self == Self { error_status, seed, workers, ..Self::default() }
    }

    /// The status of injected errors.
    pub(crate) fn status(&self) -> StatusCode {
        self.error_status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    pub(crate) fn work(&self) -> Duration {
        Duration::from_millis(self.work_ms.into())
    }

    pub(crate) fn latency(&self) -> (Duration, Duration) {
        let millis = |millis: u32| Duration::from_millis(millis.into());
        (millis(self.latency_ms), millis(self.latency_jitter_ms))
    }
}

/// The same as it is written: every number wide enough to be told that it is out of range.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wire {
    latency_ms: Number,
    latency_jitter_ms: Number,
    error_rate: Number,
    error_status: Number,
    lose_response_rate: Number,
    drop_connection_rate: Number,
    lose_next: Number,
    capacity_per_second: Number,
    down: bool,
    seed: u64,
    hang_rate: Number,
    refuse_rate: Number,
    cut_body_rate: Number,
    work_ms: Number,
    workers: Number,
}

/// Whole where it was written whole, so that 5 is not shown as 5.0.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number")]
enum Number {
    Whole(u64),
    Real(f64),
}

impl Default for Number {
    fn default() -> Self {
        Self::Whole(0)
    }
}

impl TryFrom<Wire> for Knobs {
    type Error = OutOfRange;

    fn try_from(wire: Wire) -> Result<Self, OutOfRange> {
        Ok(Self {
            latency_ms: wire.latency_ms.whole("latency_ms", LATENCY_MS_MAX)?,
            latency_jitter_ms: wire.latency_jitter_ms.whole("latency_jitter_ms", LATENCY_MS_MAX)?,
            error_rate: wire.error_rate.ratio("error_rate")?,
            error_status: wire.error_status.status("error_status")?,
            lose_response_rate: wire.lose_response_rate.ratio("lose_response_rate")?,
            drop_connection_rate: wire.drop_connection_rate.ratio("drop_connection_rate")?,
            lose_next: wire.lose_next.whole("lose_next", COUNT_MAX)?,
            capacity_per_second: wire
                .capacity_per_second
                .whole("capacity_per_second", COUNT_MAX)?,
            down: wire.down,
            seed: wire.seed,
            hang_rate: wire.hang_rate.ratio("hang_rate")?,
            refuse_rate: wire.refuse_rate.ratio("refuse_rate")?,
            cut_body_rate: wire.cut_body_rate.ratio("cut_body_rate")?,
            work_ms: wire.work_ms.whole("work_ms", LATENCY_MS_MAX)?,
            workers: wire.workers.whole("workers", WORKERS_MAX)?,
        })
    }
}

impl From<Knobs> for Wire {
    fn from(knobs: Knobs) -> Self {
        let whole = |number: u32| Number::Whole(number.into());
        let ratio = |ratio: Ratio| match ratio {
            Ratio::ZERO => Number::Whole(0),
            Ratio::ONE => Number::Whole(1),
            part => Number::Real(part.as_f64()),
        };
        Self {
            latency_ms: whole(knobs.latency_ms),
            latency_jitter_ms: whole(knobs.latency_jitter_ms),
            error_rate: ratio(knobs.error_rate),
            error_status: whole(knobs.error_status.map_or(0, |status| status.as_u16().into())),
            lose_response_rate: ratio(knobs.lose_response_rate),
            drop_connection_rate: ratio(knobs.drop_connection_rate),
            lose_next: whole(knobs.lose_next),
            capacity_per_second: whole(knobs.capacity_per_second),
            down: knobs.down,
            seed: knobs.seed,
            hang_rate: ratio(knobs.hang_rate),
            refuse_rate: ratio(knobs.refuse_rate),
            cut_body_rate: ratio(knobs.cut_body_rate),
            work_ms: whole(knobs.work_ms),
            workers: whole(knobs.workers),
        }
    }
}

impl Number {
    fn whole(self, field: &'static str, most: u32) -> Result<u32, OutOfRange> {
        match self {
            Self::Whole(number) => u32::try_from(number).ok().filter(|number| *number <= most),
            Self::Real(_) => None,
        }
        .ok_or_else(|| {
            let range = format!("a whole number from 0 to {most}");
            OutOfRange::new(field, self.as_f64(), range)
        })
    }

    fn ratio(self, field: &'static str) -> Result<Ratio, OutOfRange> {
        Ratio::from_fraction(self.as_f64())
            .ok_or_else(|| OutOfRange::new(field, self.as_f64(), "a number from 0 to 1"))
    }

    fn status(self, field: &'static str) -> Result<Option<StatusCode>, OutOfRange> {
        let wrong = || OutOfRange::new(field, self.as_f64(), "a status from 400 to 599, or 0");
        match self {
            Self::Whole(0) => Ok(None),
            Self::Whole(code @ 400..=599) => u16::try_from(code)
                .ok()
                .and_then(|code| StatusCode::from_u16(code).ok())
                .map(Some)
                .ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a share is 0 or 1 when it is whole; anything larger is only shown"
    )]
    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

/// A minute: longer than any deadline that the layers under test would wait for.
const LATENCY_MS_MAX: u32 = 60_000;
/// A million: what a rate or a count of a demonstration can mean.
const COUNT_MAX: u32 = 1_000_000;
/// As many as are looked through for each call.
const WORKERS_MAX: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_names_the_field_the_value_and_the_range() {
        for (json, message) in [
            (r#"{"latency_ms": -5}"#, "latency_ms is -5; give a whole number from 0 to 60000"),
            (
                r#"{"latency_jitter_ms": 60001}"#,
                "latency_jitter_ms is 60001; give a whole number from 0 to 60000",
            ),
            (r#"{"error_rate": 1.01}"#, "error_rate is 1.01; give a number from 0 to 1"),
            (
                r#"{"lose_response_rate": -0.1}"#,
                "lose_response_rate is -0.1; give a number from 0 to 1",
            ),
            (
                r#"{"drop_connection_rate": 2}"#,
                "drop_connection_rate is 2; give a number from 0 to 1",
            ),
            (
                r#"{"error_status": 200}"#,
                "error_status is 200; give a status from 400 to 599, or 0",
            ),
            (r#"{"lose_next": 1.5}"#, "lose_next is 1.5; give a whole number from 0 to 1000000"),
            (
                r#"{"capacity_per_second": 1000001}"#,
                "capacity_per_second is 1000001; give a whole number from 0 to 1000000",
            ),
            (r#"{"hang_rate": 3}"#, "hang_rate is 3; give a number from 0 to 1"),
            (r#"{"refuse_rate": 1.5}"#, "refuse_rate is 1.5; give a number from 0 to 1"),
            (r#"{"cut_body_rate": -1}"#, "cut_body_rate is -1; give a number from 0 to 1"),
            (r#"{"work_ms": 60001}"#, "work_ms is 60001; give a whole number from 0 to 60000"),
            (r#"{"workers": 1001}"#, "workers is 1001; give a whole number from 0 to 1000"),
        ] {
            let wrong = serde_json::from_str::<Knobs>(json).unwrap_err();
            assert_eq!(wrong.to_string(), message);
        }
    }

    #[test]
    fn a_field_nobody_knows_is_refused_by_name() {
        let wrong = serde_json::from_str::<Knobs>(r#"{"error_rte": 0.5}"#).unwrap_err();
        assert!(wrong.to_string().contains("unknown field `error_rte`"));
    }

    #[test]
    fn fields_left_out_are_zero() {
        let knobs: Knobs = serde_json::from_str("{}").unwrap();
        assert_eq!(knobs, Knobs::default());
        assert!(knobs.is_calm());
    }

    #[test]
    fn what_is_shown_can_be_put_back() {
        let json = r#"{"latency_ms":1,"latency_jitter_ms":2,"error_rate":0.5,"error_status":500,"lose_response_rate":1,"drop_connection_rate":0,"lose_next":3,"capacity_per_second":4,"down":true,"seed":18446744073709551615,"hang_rate":0.25,"refuse_rate":0,"cut_body_rate":1,"work_ms":20,"workers":2}"#;
        let knobs: Knobs = serde_json::from_str(json).unwrap();
        assert!(!knobs.is_calm());
        assert_eq!(serde_json::to_string(&knobs).unwrap(), json);
    }
}
