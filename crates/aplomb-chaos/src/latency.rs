use aplomb_core::Observe;

use crate::{Chaos, Event};

impl<O: Observe<Event>> Chaos<O> {
    /// The station inside a handler: waits as long as the knobs say, and for its turn to work if they
    /// say so; not at all when calm.
    ///
    /// Dropping the future ends the wait. A turn that was taken is used up all the same.
    pub async fn latency(&self) {
        if let Some(wait) = self.delays() {
            tokio::time::sleep(wait).await;
        }
    }
}
