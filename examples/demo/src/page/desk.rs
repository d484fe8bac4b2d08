//! Where the page's requests arrive, before the demo is up, while it runs, after it has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::task::JoinHandle;

use super::feed::Feed;
use super::scene::{Busy, Scene};
use super::{routes, stories};

/// The page's end that services hold. Clones are the same.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) feed: Feed,
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The services that it acts on. They serve this desk in turn, so it lets go of them at the end.
    scene: Option<Scene>,
    story: Option<JoinHandle<()>>,
}

impl Desk {
    /// `run` tells this process from an earlier one.
    pub(crate) fn new(run: &str) -> Self {
        Self { feed: Feed::new(run), shared: Arc::default() }
    }

    /// The page's routes.
    pub(crate) fn router(&self) -> Router {
        routes::routes(self.clone())
    }

    /// From now on knobs can be turned.
    pub(crate) fn open(&self, scene: Scene) {
        self.state().scene = Some(scene);
    }

    /// Ends a story that plays, every stream, and its hold on the services.
    pub(crate) async fn close(&self) {
        self.feed.end();
        let State { story, .. } = std::mem::take(&mut *self.state());
        if let Some(story) = story {
            story.abort();
            // Cancelled, or it had ended.
            let _ = story.await;
        }
    }

    /// What knobs act on; `None` while the services start or stop.
    pub(crate) fn scene(&self) -> Option<Scene> {
        self.state().scene.clone()
    }

    /// Begins a story. It ends by itself, and leaves the knobs as they were.
    ///
    /// # Errors
    ///
    /// [`Busy`] while another one plays.
    pub(crate) fn play(&self, scene: Scene, story: &'static stories::Story) -> Result<(), Busy> {
        let playing = scene.telling().begin(story.number)?;
        let task = tokio::spawn(async move { stories::play(&scene, story, playing).await });
        self.state().story = Some(task);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
