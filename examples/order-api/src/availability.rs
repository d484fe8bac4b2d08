//! What is told about a product's stock when Inventory cannot be asked.

use std::pin::Pin;
use std::time::Duration;

use aplomb_core::{BoxError, DegradedKind, HttpClassifier};
use aplomb_fallback::{Computed, FallbackBody, FallbackLayer, LastGood, Missed, Nothing, OrElse};
use aplomb_telemetry::DependencyMetrics;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use serde_json::json;
use tower::{Layer, ServiceExt};

use crate::policy::Transport;

/// The last number that Inventory told, while it is good enough, and words instead of a number
/// after that.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    kept: LastGood,
    layer: FallbackLayer<OrElse<LastGood, Words>, HttpClassifier, DependencyMetrics>,
}

type Words = Computed<fn(&Request<Missed>) -> Result<Response<Bytes>, Nothing>>;

impl Numbers {
    /// Numbers count for as long as `fresh_for`.
    pub(crate) fn new(fresh_for: Duration, metrics: DependencyMetrics) -> Self {
        // Every customer is told the same number, and we ask under one token.
        let kept = LastGood::new(fresh_for).shared().name("order-api");
        let words: Words = Computed::new(DegradedKind::Approximate, limited);
        let layer = FallbackLayer::new(OrElse::new(kept.clone(), words));
        Self { layer: layer.keeps(kept.clone()).observe(metrics), kept }
    }

    /// Asks `inventory`, or else the last number, or else says that it is not known.
    pub(crate) fn look(&self, request: Request<Full<Bytes>>, inventory: Transport) -> Looking {
        Box::pin(self.layer.layer(inventory).oneshot(request))
    }

    /// Forgets the number at this address as soon as the value that is answered goes out of scope,
    /// however that comes about: what is done meanwhile may change it.
    pub(crate) fn changes(&self, uri: Option<Uri>) -> Changing {
        Changing { kept: self.kept.clone(), uri }
    }
}

/// A look under way.
pub(crate) type Looking =
    Pin<Box<dyn Future<Output = Result<Response<FallbackBody<Full<Bytes>>>, BoxError>> + Send>>;

/// While it lives, somebody changes the number.
#[must_use]
pub(crate) struct Changing {
    kept: LastGood,
    uri: Option<Uri>,
}

/// Not before the change: a number that was read in between would be kept.
impl Drop for Changing {
    fn drop(&mut self) {
        match &self.uri {
            Some(uri) => self.kept.evict(uri),
            None => self.kept.evict_all(),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other fallbacks have nothing to say")]
fn limited(_: &Request<Missed>) -> Result<Response<Bytes>, Nothing> {
    let words = json!({ "available": null, "shown_as": LIMITED, "degraded": true });
    Ok(crate::answer::json(StatusCode::OK, &words))
}

const LIMITED: &str = "limited availability";
