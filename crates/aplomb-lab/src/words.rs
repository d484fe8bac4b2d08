//! The words that settings take.

/// A setting that is one of a few words.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Each value with its word.
    const ALL: &'static [(&'static str, Self)];

    fn read(text: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(word, _)| *word == text)?;
        Some(known.1)
    }

    fn word(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, value)| *value == self);
        known.map_or("", |(word, _)| word)
    }
}

macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$means:meta])* $value:ident = $word:literal,)* })*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$means])* $value,)* }

        impl Word for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$value),)*];
        }
    )*};
}

words! {
    /// How calls begin.
    Start {
        /// Each client calls at random times, whatever became of its other calls.
        Open = "open",
        /// Every client makes one call, all at time 0.
        Together = "together",
    }

    /// How long a caller waits before it tries again.
    Schedule {
        None = "none",
        Exponential = "exponential",
        Full = "full",
        Equal = "equal",
        Decorrelated = "decorrelated",
    }

    /// What pays for retries.
    Funding {
        /// Nothing needs to.
        None = "none",
        /// A bucket that every call fills.
        PerCall = "per-call",
        /// A bucket that first tries that succeed fill.
        PerSuccess = "per-success",
        /// The budget of the crate `tower`.
        Tower = "tower",
        /// gRPC's throttle.
        Grpc = "grpc",
        /// The quota of the AWS SDKs.
        Aws = "aws",
        /// Finagle's.
        Finagle = "finagle",
        /// Ours.
        Aplomb = "aplomb",
    }

    /// What a caller makes of a server's `Retry-After`.
    Heed {
        /// Comes back no earlier, spread over at least a quarter more: as our retries do.
        Spread = "spread",
        /// Comes back at that moment.
        Exactly = "exactly",
        /// Comes back when its own backoff says.
        No = "no",
    }

    /// What a caller does that finds its circuit open.
    Paused {
        /// Waits until it may probe, if its time allows.
        Wait = "wait",
        /// Fails at once.
        Fail = "fail",
    }

    /// Which circuits a client has.
    Circuit {
        None = "none",
        /// One for the whole dependency.
        Together = "together",
        /// One for each shard.
        PerShard = "per-shard",
    }

    /// What answers.
    Kind {
        /// Workers behind a queue.
        Workers = "workers",
        /// One row under optimistic locking: an attempt reads it, then writes it.
        Row = "row",
    }

    Distribution {
        Exponential = "exponential",
        Constant = "constant",
    }

    /// Who is served next.
    Discipline {
        Fifo = "fifo",
        Lifo = "lifo",
        /// The oldest, until the queue has stood for a while; then the newest.
        Adaptive = "adaptive",
    }

    /// Which work is dropped when its turn comes.
    Shed {
        None = "none",
        /// What its caller's timeout says nobody waits for.
        Deadline = "deadline",
        /// What its caller said it gave up.
        Cancel = "cancel",
    }

    /// Who guards the server.
    Guard {
        None = "none",
        /// The machine of `aplomb-admission`.
        Aplomb = "aplomb",
    }

    /// What a server knows of the requests that it has served.
    Memory {
        None = "none",
        /// A request whose work is done is answered again without doing it.
        Replay = "replay",
    }

    /// Who retries in a chain of services.
    Ownership {
        /// Every service, whatever the one below it did.
        Every = "every",
        /// A service whose own retries came to their end tells its caller not to try again.
        Lowest = "lowest",
    }

    /// What goes wrong.
    Fault {
        None = "none",
        /// Requests are answered with an error at once.
        Error = "error",
        /// Requests are lost.
        Blackhole = "blackhole",
        /// Work is done, its answer is lost.
        Lost = "lost",
        /// Nothing moves at the server.
        Pause = "pause",
        /// Work that begins takes longer.
        Slow = "slow",
        /// Workers are missing.
        Capacity = "capacity",
        /// More calls begin.
        Surge = "surge",
        /// The first shard answers with errors.
        DeadShard = "dead-shard",
        /// The server is gone, with all that it held; it comes back cold.
        Restart = "restart",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        assert!(Fault::ALL.iter().all(|(word, fault)| fault.word() == *word));
        assert_eq!(Fault::read("dead-shard"), Some(Fault::DeadShard));
        assert_eq!(Fault::read("dead"), None);
    }
}
