use aplomb_core::Observe;

use crate::{Chaos, Event};

impl<O: Observe<Event>> Chaos<O> {
    /// The station inside a handler: waits as long as the knobs say, not at all when calm.
    ///
    /// Dropping the future ends the wait and has no other effect.
    pub async fn latency(&self) {
        if let Some(wait) = self.delays() {
            tokio::time::sleep(wait).await;
        }
    }
}
