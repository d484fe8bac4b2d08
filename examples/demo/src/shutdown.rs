//! Ctrl-C and SIGTERM.

use std::io;

use crate::trouble::Trouble;

/// Hears when this process is asked to stop, from the moment it is made.
#[derive(Debug)]
pub(crate) struct Shutdown(Signals);

impl Shutdown {
    /// Begins to listen: before anyone is told that we run, so that a signal that comes at once is
    /// heard too.
    ///
    /// # Errors
    ///
    /// When the system does not let signals be heard.
    pub(crate) fn listen() -> Result<Self, Trouble> {
        Signals::listen()
            .map(Self)
            .map_err(|error| Trouble::new(format!("signals cannot be heard: {error}")))
    }

    /// Completes when this process is asked to stop.
    pub(crate) async fn asked(mut self) {
        self.0.heard().await;
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
