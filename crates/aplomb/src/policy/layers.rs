//! The order of the layers, and why it is that one.

/// A layer around a client.
///
/// ```
/// use aplomb::policy::{ClientLayer, ServerLayer};
///
/// // The words that `layers = [...]` takes.
/// assert_eq!(ClientLayer::Retry.as_str(), "retry");
/// assert_eq!(ServerLayer::Admission.as_str(), "admission");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ClientLayer {
    /// Keeps what finally failed.
    DeadLetter,
    /// Answers from elsewhere.
    Fallback,
    /// Ends the call.
    Total,
    /// Stamps the key.
    Key,
    /// Sends again.
    Retry,
    /// Paces the dependency.
    Backoff,
    /// Bounds the calls in flight: the bulkhead.
    InFlight,
    /// Stops calling what keeps failing.
    Breaker,
    /// Ends the attempt.
    Attempt,
}

/// A layer of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ServerLayer {
    /// Answers what failed inside.
    Problems,
    /// Finds out who is calling; the application's own.
    Authentication,
    /// Takes over the caller's deadline.
    Deadline,
    /// Bounds what is taken on.
    Admission,
    /// Runs each key once.
    Idempotency,
}

/// A layer with a place in an order.
pub(crate) trait Placed: Copy + Ord + 'static {
    /// All, outermost first.
    const ORDER: &'static [(&'static str, Self)];

    /// What goes wrong when it stands inside of one that belongs inside of it.
    fn harm(self) -> &'static str;

    /// Its word in a policy file.
    fn word(self) -> &'static str {
        let known = Self::ORDER.iter().find(|(_, layer)| *layer == self);
        known.map_or("", |(word, _)| word)
    }
}

impl ClientLayer {
    /// Its word in a policy file.
    pub fn as_str(self) -> &'static str {
        self.word()
    }
}

impl ServerLayer {
    /// Its word in a policy file.
    pub fn as_str(self) -> &'static str {
        self.word()
    }
}

impl Placed for ClientLayer {
    const ORDER: &'static [(&'static str, Self)] = &[
        ("dead-letter", Self::DeadLetter),
        ("fallback", Self::Fallback),
        ("total", Self::Total),
        ("key", Self::Key),
        ("retry", Self::Retry),
        ("backoff", Self::Backoff),
        ("in-flight", Self::InFlight),
        ("breaker", Self::Breaker),
        ("attempt", Self::Attempt),
    ];

    fn harm(self) -> &'static str {
        match self {
            Self::DeadLetter => "what fails further out is never kept",
            Self::Fallback => "what fails further out is never answered by it",
            Self::Total => "the time that passes further out is not bounded",
            Self::Key => "what sends again further out gives each attempt a key of its own",
            Self::Retry => "what stands further out sees one call, and not its attempts",
            Self::Backoff => "its pauses hold a place, or use up an attempt's time, further out",
            Self::InFlight => "who waits for a place holds a probe, or uses up an attempt's time",
            Self::Breaker => "an attempt that is cut off is gone before its failure is counted",
            Self::Attempt => "an attempt is bounded for only a part of its way",
        }
    }
}

impl Placed for ServerLayer {
    const ORDER: &'static [(&'static str, Self)] = &[
        ("problems", Self::Problems),
        ("authentication", Self::Authentication),
        ("deadline", Self::Deadline),
        ("admission", Self::Admission),
        ("idempotency", Self::Idempotency),
    ];

    fn harm(self) -> &'static str {
        match self {
            Self::Problems => "what fails further out is answered by nobody",
            Self::Authentication => "what stands further out does not know who is calling",
            Self::Deadline => "work is queued, or a key claimed, for callers who have gone",
            Self::Admission => "keys are claimed by calls that are then turned away",
            Self::Idempotency => "what runs further out runs once for each repetition",
        }
    }
}
