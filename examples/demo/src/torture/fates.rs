//! A process that kills or stops itself where a request asks for it.

use aplomb_inventory_service::{Point, Points};
use http::{HeaderMap, HeaderName};
use rustix::process::{Signal, getpid, kill_process};

use super::plan::Fate;

/// How a request says what is to befall it.
pub(super) const TORTURE: HeaderName = HeaderName::from_static("x-torture");

impl Fate {
    /// The header that brings it about, if the server can.
    pub(super) fn header(self) -> Option<String> {
        match self {
            Self::Kill(point) => Some(format!("kill:{}", point.as_str())),
            Self::Stall(point) => Some(format!("stall:{}", point.as_str())),
            Self::Calm | Self::HangUp(_) => None,
        }
    }
}

/// Obeys. Only for a process that was started to be tortured.
pub(crate) fn obey() -> Points {
    Points::tell(|point, headers| {
        if let Some(signal) = signal(point, headers)
            && let Err(error) = kill_process(getpid(), signal)
        {
            eprintln!("aplomb-demo: cannot send {signal:?} to this process: {error}");
        }
    })
}

fn signal(point: Point, headers: &HeaderMap) -> Option<Signal> {
    let (verb, place) = headers.get(TORTURE)?.to_str().ok()?.split_once(':')?;
    if place != point.as_str() {
        return None;
    }
    match verb {
        "kill" => Some(Signal::KILL),
        "stall" => Some(Signal::STOP),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_is_met_at_its_point_alone() {
        let mut headers = HeaderMap::new();
        let kill = Fate::Kill(Point::AfterEffect).header().unwrap_or_default();
        headers.insert(TORTURE, kill.parse().expect("it is printable"));
        assert_eq!(signal(Point::AfterEffect, &headers), Some(Signal::KILL));
        assert_eq!(signal(Point::BeforeEffect, &headers), None);
        assert_eq!(signal(Point::AfterEffect, &HeaderMap::new()), None);
        assert_eq!(Fate::Calm.header(), None);
    }
}
