use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::retry::{Policy, RetryLayer};

use crate::inner::Body;

pub(crate) fn retry() -> RetryLayer<Attempts> {
    RetryLayer::new(Attempts { budget: Arc::new(TpsBudget::default()), left: 2 })
}

/// Its budget pays for as many retries as there are calls.
pub(crate) fn rich_retry() -> RetryLayer<Attempts> {
    let budget = TpsBudget::new(Duration::from_secs(10), 10, 10.0);
    RetryLayer::new(Attempts { budget: Arc::new(budget), left: 2 })
}

/// Its budget never holds anything.
pub(crate) fn spent_retry() -> RetryLayer<Attempts> {
    let budget = TpsBudget::new(Duration::from_secs(10), 0, 0.0);
    RetryLayer::new(Attempts { budget: Arc::new(budget), left: 2 })
}

/// What tower's documentation shows: a budget, a number of attempts, a copy of the request.
#[derive(Clone)]
pub(crate) struct Attempts {
    budget: Arc<TpsBudget>,
    left: u32,
}

impl<A, E> Policy<Request<Body>, Response<A>, E> for Attempts {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<A>, E>,
    ) -> Option<Self::Future> {
        let failed = result.as_ref().map_or(true, |response| response.status().is_server_error());
        if !failed {
            self.budget.deposit();
            return None;
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}
