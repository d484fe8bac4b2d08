//! What a layer owes to whatever is around it, or inside it.

use aplomb_chaos::{Chaos, Knobs};
use aplomb_core::Ratio;
use aplomb_testkit::{Contract, Request};
use http::Method;

#[test]
fn stations_that_are_calm() {
    Contract::new("chaos, delay", || Chaos::seeded(7).delay()).check();
    Contract::new("chaos, connect", || Chaos::seeded(7).connect()).check();
}

#[test]
fn stations_that_touch_other_requests() {
    Contract::new("chaos, delay", || stormy().delay().only(is_deletion)).check();
    Contract::new("chaos, connect", || stormy().connect().only(is_deletion)).check();
    Contract::new("chaos, edge", || stormy().edge().only(is_deletion)).check();
}

fn stormy() -> Chaos {
    let chaos = Chaos::seeded(7);
    chaos.set(Knobs {
        latency_ms: 1_000,
        hang_rate: Ratio::ONE,
        refuse_rate: Ratio::ONE,
        work_ms: 1_000,
        ..Knobs::default()
    });
    chaos
}

fn is_deletion(request: &Request) -> bool {
    request.method() == Method::DELETE
}
