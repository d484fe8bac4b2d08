//! What is told about a product's stock when Inventory cannot be asked.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aplomb::fallback::{Computed, LastGood, Missed, Nothing};
use aplomb_core::DegradedKind;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use serde_json::json;

/// The last numbers that Inventory told, for as long as the policy in force shows them.
#[derive(Clone, Default)]
pub(crate) struct Numbers {
    // A reload that changes for how long they count begins anew.
    kept: Arc<Mutex<Option<LastGood>>>,
}

impl Numbers {
    /// Makes what keeps them of what a policy says.
    pub(crate) fn keeping(&self) -> impl Fn(&str, LastGood) -> LastGood + Send + Sync + 'static {
        let numbers = Arc::clone(&self.kept);
        move |_, kept| {
            // Every customer is told the same number, and we ask under one token.
            let kept = kept.shared().name("order-api");
            *numbers.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept.clone());
            kept
        }
    }

    /// Forgets the number at this address as soon as the value that is answered goes out of scope,
    /// however that comes about: what is done meanwhile may change it.
    pub(crate) fn changes(&self, uri: Option<Uri>) -> Changing {
        Changing { numbers: self.clone(), uri }
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbers").finish_non_exhaustive()
    }
}

/// While it lives, somebody changes the number.
#[must_use]
pub(crate) struct Changing {
    numbers: Numbers,
    uri: Option<Uri>,
}

/// Not before the change: a number that was read in between would be kept.
impl Drop for Changing {
    fn drop(&mut self) {
        let kept = self.numbers.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*kept, &self.uri) {
            (Some(kept), Some(uri)) => kept.evict(uri),
            (Some(kept), None) => kept.evict_all(),
            (None, _) => {}
        }
    }
}

/// What answers when there is no number that counts: words.
pub(crate) fn words() -> Words {
    Computed::new(DegradedKind::Approximate, limited)
}

type Words = Computed<fn(&Request<Missed>) -> Result<Response<Bytes>, Nothing>>;

#[expect(clippy::unnecessary_wraps, reason = "other fallbacks have nothing to say")]
fn limited(_: &Request<Missed>) -> Result<Response<Bytes>, Nothing> {
    let words = json!({ "available": null, "shown_as": LIMITED, "degraded": true });
    Ok(crate::answer::json(StatusCode::OK, &words))
}

const LIMITED: &str = "limited availability";
