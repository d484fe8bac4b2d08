//! Breakers that several threads call through at once.

use aplomb_circuit_breaker::CircuitBreakerLayer;
use http::Request;
use tower::Layer;
use tower_service::Service;

use crate::drive::Driver;
use crate::inner::{Body, Prompt, read};
use crate::peers::{failsafe, resilience, seatbelt};

/// One breaker, which threads share.
#[expect(clippy::exhaustive_structs, reason = "what the bench asks of it")]
pub struct Shared {
    /// Its name.
    pub name: &'static str,
    /// Whether it is ours.
    pub is_ours: bool,
    /// Two services around one breaker.
    pub make: fn(&Driver) -> Vec<Calls>,
}

/// Makes so many calls of one service.
pub type Calls = Box<dyn FnMut(&Driver, u64) + Send>;

/// Ours, those of the peers, and none at all: what the machine gives threads that share nothing.
pub const SHARED: &[Shared] = &[
    Shared { name: "bare", is_ours: false, make: |_| clones(Prompt) },
    Shared {
        name: "aplomb",
        is_ours: true,
        make: |_| clones(CircuitBreakerLayer::default().layer(Prompt)),
    },
    Shared {
        name: "seatbelt",
        is_ours: false,
        make: |driver| clones(seatbelt::breaker(driver).layer(Prompt)),
    },
    Shared { name: "failsafe", is_ours: false, make: |_| clones(failsafe::breaker(Prompt)) },
    Shared {
        name: "tower-resilience",
        is_ours: false,
        make: |_| clones(resilience::breaker().0.layer(Prompt)),
    },
];

fn clones<S>(service: S) -> Vec<Calls>
where
    S: Service<Request<Body>> + Clone + Send + 'static,
{
    let calls = |mut service: S| -> Calls {
        Box::new(move |driver, calls| driver.drive(&mut service, read, calls))
    };
    vec![calls(service.clone()), calls(service)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_of_each_pair_make_calls() {
        let driver = Driver::new();
        for shared in SHARED {
            let made = (shared.make)(&driver);
            assert_eq!(made.len(), 2, "{}", shared.name);
            for mut calls in made {
                calls(&driver, 3);
            }
        }
    }
}
