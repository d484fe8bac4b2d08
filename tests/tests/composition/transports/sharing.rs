//! Readiness, and clones.

use http_body_util::BodyExt;

use super::Column;
use super::callers::{Called, Caller};
use super::house::House;

/// Calls on clones meet in the one limit, though each of them was ready.
pub(crate) async fn clones_share_one_limit_and_are_always_ready(column: Column) {
    let mut house = House::open(column).await;
    let caller = Caller::of(column, &house, 2);
    let calls: Vec<Called> = (0..2 * PAIRS).map(|_| caller.clone().look()).collect();
    let calls: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    for pair in 1..=PAIRS {
        let inside = [house.visit().await, house.visit().await];
        assert_eq!((caller.places().running, caller.places().waiting), (2, 2 * (PAIRS - pair)));
        assert!(house.is_quiet());
        for visit in inside {
            assert_eq!(visit.parts.version, column.way.version);
            visit.answer(200);
        }
    }
    for call in calls {
        let answer = call.await.unwrap().unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, column.way.version));
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "42");
    }
    caller.rests();
    house.rests().await;
}

/// So many times two calls.
const PAIRS: usize = 4;
