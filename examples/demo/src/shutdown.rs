//! Ctrl-C, SIGTERM, and the end of whoever started us.

use std::io::{self, Read};

use tokio::sync::oneshot;

use crate::trouble::Trouble;

/// Hears when this process is asked to stop, from the moment it is made.
#[derive(Debug)]
pub(crate) struct Shutdown {
    signals: Signals,
    /// Told when standard input ends, if that matters.
    parent: Option<oneshot::Receiver<()>>,
}

impl Shutdown {
    /// Begins to listen: before anyone is told that we run, so that a signal that comes at once is
    /// heard too.
    ///
    /// # Errors
    ///
    /// When the system does not let signals be heard.
    pub(crate) fn listen() -> Result<Self, Trouble> {
        let signals = Signals::listen()
            .map_err(|error| Trouble::new(format!("signals cannot be heard: {error}")))?;
        Ok(Self { signals, parent: None })
    }

    /// The same, and hears as well when standard input ends: it does when the process that holds its
    /// other end is gone, however that came about.
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub(crate) fn with_parent() -> Result<Self, Trouble> {
        let (ended, parent) = oneshot::channel();
        // A thread of its own: a read that nothing ends must not hold up the end of the runtime.
        std::thread::spawn(move || {
            let _ = io::stdin().lock().read_to_end(&mut Vec::new());
            let _ = ended.send(());
        });
        Ok(Self { parent: Some(parent), ..Self::listen()? })
    }

    /// Completes when this process is asked to stop.
    pub(crate) async fn asked(mut self) {
        let parent = async {
            match self.parent {
                Some(parent) => drop(parent.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.signals.heard() => {}
            () = parent => {}
        }
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct Signals {
    interrupted: tokio::signal::unix::Signal,
    terminated: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
        })
    }

    async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.terminated.recv() => {}
        }
    }
}

#[cfg(windows)]
#[derive(Debug)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn heard(&mut self) {
        self.0.recv().await;
    }
}
