//! What browsers are sent: the points of the last two minutes, then each new one as it comes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::sse::Event;
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Points to send, and whoever waits for them. Clones are the same feed.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// Tells one process from the next, whose numbers start again.
    run: Arc<str>,
    shared: Arc<Mutex<Kept>>,
    /// The number of the latest point; `None` once the feed has ended.
    latest: watch::Sender<Option<u64>>,
}

#[derive(Debug, Default)]
struct Kept {
    points: VecDeque<(u64, Value)>,
    state: Value,
}

impl Feed {
    pub(crate) fn new(run: &str) -> Self {
        let (latest, _) = watch::channel(Some(0));
        Self { run: run.into(), shared: Arc::default(), latest }
    }

    /// Adds a point for the charts, and says how everything stands now.
    pub(crate) fn publish(&self, point: Value, state: Value) {
        let Some(latest) = *self.latest.borrow() else {
            return;
        };
        let mut kept = self.kept();
        if kept.points.len() == POINTS_MAX {
            kept.points.pop_front();
        }
        kept.points.push_back((latest + 1, point));
        kept.state = state;
        drop(kept);
        self.latest.send_replace(Some(latest + 1));
    }

    /// Ends every stream: a server that stops does not wait for its spectators.
    pub(crate) fn end(&self) {
        self.latest.send_replace(None);
    }

    /// Events from after the one with this id; without one, or with one of an earlier process, all.
    pub(crate) fn after(
        &self,
        last: Option<&str>,
    ) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        let seen = last.and_then(|id| id.strip_prefix(&*self.run)?.strip_prefix('-')?.parse().ok());
        let reader = Reader { feed: self.clone(), latest: self.latest.subscribe(), seen };
        stream::unfold(reader, |mut reader| async move {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One browser.
struct Reader {
    feed: Feed,
    latest: watch::Receiver<Option<u64>>,
    /// The latest point it has; `None` when it has none.
    seen: Option<u64>,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        let seen = self.seen.unwrap_or_default();
        let newer = self.latest.wait_for(|latest| latest.is_none_or(|latest| latest > seen)).await;
        // The feed has ended, or its owner has gone.
        let latest = (*newer.ok()?)?;
        let (is_first, run) = (self.seen.is_none(), &self.feed.run);
        self.seen = Some(latest);
        let kept = self.feed.kept();
        let points = kept.points.iter().filter(|(number, _)| *number > seen);
        let points: Vec<_> = points.map(|(_, point)| point).collect();
        let news =
            json!({ "run": &**run, "anew": is_first, "points": points, "state": kept.state });
        Some(Event::default().id(format!("{run}-{latest}")).data(news.to_string()))
    }
}

/// Two minutes of two points a second.
const POINTS_MAX: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::{IntoResponse, Sse};
    use futures_util::StreamExt;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_browser_that_comes_back_gets_what_it_missed() {
        let feed = Feed::new("r");
        for number in 1..=3 {
            feed.publish(json!(number), json!({}));
        }
        assert_eq!(points(&feed, None).await, (true, json!([1, 2, 3])));
        assert_eq!(points(&feed, Some("r-2")).await, (false, json!([3])));
        assert_eq!(points(&feed, Some("earlier-2")).await, (true, json!([1, 2, 3])));
    }

    #[tokio::test]
    async fn points_of_more_than_two_minutes_are_forgotten() {
        let feed = Feed::new("r");
        for number in 1..=POINTS_MAX + 5 {
            feed.publish(json!(number), json!({}));
        }
        let (_, kept) = points(&feed, None).await;
        assert_eq!((kept.as_array().unwrap().len(), &kept[0]), (POINTS_MAX, &json!(6)));
    }

    #[tokio::test]
    async fn every_stream_ends_with_the_feed() {
        let feed = Feed::new("r");
        feed.publish(json!(1), json!({}));
        let mut stream = Box::pin(feed.after(None));
        assert!(stream.next().await.is_some());
        feed.end();
        assert!(stream.next().await.is_none());
    }

    async fn points(feed: &Feed, last: Option<&str>) -> (bool, Value) {
        let stream = Box::pin(feed.after(last));
        let mut body = Sse::new(stream).into_response().into_body();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let mut news: Value = serde_json::from_str(data).unwrap();
        (news["anew"].as_bool().unwrap(), news["points"].take())
    }
}
