use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

use crate::happening::Happening;

/// What happens, live: for a dashboard's server-sent events.
///
/// It is bounded: it keeps the last events for readers that are slow, and whoever is slower than that
/// loses the oldest and is told how many. It never keeps a call waiting. While nobody reads it, it
/// costs the look at a number. Clones are one feed.
///
/// ```
/// use aplomb_core::{Attempt, Observe};
/// use aplomb_retry::RetryEvent;
/// use aplomb_telemetry::{Feed, Heard, Metrics};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let feed = Feed::new(256);
/// let metrics = Metrics::register(&prometheus::Registry::new(), None)?.feeding(&feed);
/// let reserve = metrics.dependency("inventory", "reserve");
///
/// let mut reader = feed.read();
/// reserve.observe(&RetryEvent::Resent { attempt: Attempt::FIRST.next() });
/// let Some(Heard::Happening(happening)) = reader.next().await else { panic!() };
/// let shown = serde_json::to_value(&happening)?;
/// assert_eq!(shown["layer"], "retry");
/// assert_eq!(shown["attempt"], 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Feed {
    sender: Sender<Happening>,
    readers: Arc<AtomicUsize>,
}

impl Feed {
    /// One that keeps so many events, rounded up to a power of two, at least 1 and at most
    /// [`EVENTS_MAX`](Self::EVENTS_MAX).
    pub fn new(events: usize) -> Self {
        let (sender, _) = broadcast::channel(events.clamp(1, Self::EVENTS_MAX));
        Self { sender, readers: Arc::default() }
    }

    /// More than a person could look through.
    pub const EVENTS_MAX: usize = 65_536;

    /// Reads what happens from now on.
    pub fn read(&self) -> Reader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Reader { receiver: self.sender.subscribe(), readers: Arc::clone(&self.readers) }
    }

    /// Whether anybody reads it.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn tell(&self, happening: Happening) {
        // The last reader may just have gone.
        let _ = self.sender.send(happening);
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("readers", &self.readers).finish_non_exhaustive()
    }
}

/// Reads a [`Feed`].
///
/// ```
/// use aplomb_telemetry::{Feed, Metrics, Reader};
///
/// let feed = Feed::new(1_024);
/// let metrics = Metrics::register(&prometheus::Registry::new(), None)?.feeding(&feed);
/// let reader: Reader = feed.read(); // `reader.next().await` is each event, for a stream to browsers
/// # let _ = (metrics, reader);
/// # Ok::<(), prometheus::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    receiver: Receiver<Happening>,
    readers: Arc<AtomicUsize>,
}

impl Reader {
    /// What happened next, or that some of it was lost; `None` when every handle of the feed is gone.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.receiver.recv().await {
            Ok(happening) => Some(Heard::Happening(happening)),
            Err(RecvError::Lagged(events)) => Some(Heard::Lost { events }),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a reader of a feed hears.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
#[expect(clippy::exhaustive_enums, reason = "it hears an event, or that it missed some")]
pub enum Heard {
    /// Something happened.
    Happening(Happening),
    /// The reader was too slow for these.
    Lost {
        /// How many.
        #[serde(rename = "lost")]
        events: u64,
    },
}
