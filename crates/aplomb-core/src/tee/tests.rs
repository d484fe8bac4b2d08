use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Wake;

use bytes::Buf;
use http::HeaderMap;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;
use crate::ReplayBody;

/// What a body does when it is polled.
#[derive(Clone, Copy, Debug)]
enum Act {
    Data(usize),
    Trailers,
    Pend,
    Break,
    Panic,
}

/// A body that follows a script.
#[derive(Debug)]
struct Scripted {
    acts: VecDeque<Act>,
    /// Whether it says that it is over without being asked for one frame more.
    tells_its_end: bool,
    exact: Option<u64>,
    sent: Arc<Sent>,
}

#[derive(Debug, Default)]
struct Sent {
    bytes: AtomicUsize,
    broke: AtomicBool,
}

#[derive(Debug)]
struct Broken;

impl Body for Scripted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(act) = self.acts.pop_front() else { return Poll::Ready(None) };
        match act {
            Act::Data(len) => {
                let from = self.sent.bytes.fetch_add(len, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(bytes(from, len).into()))))
            }
            Act::Trailers => {
                self.sent.bytes.fetch_add(TRAILERS, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::trailers(trailers()))))
            }
            Act::Pend => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Act::Break => {
                self.sent.broke.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err(Broken.into())))
            }
            Act::Panic => panic!("as the script has it"),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tells_its_end && self.acts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or(SizeHint::new(), SizeHint::with_exact)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as the script has it")
    }
}

impl Error for Broken {}

/// Any two stretches of a body differ.
fn bytes(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([("sum".parse().unwrap(), "1".parse().unwrap())])
}

const TRAILERS: usize = 4;

/// What one attempt has sent.
struct Attempt {
    tee: Tee<Scripted>,
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    Whole,
    Broken,
    Superseded,
}

impl Attempt {
    fn of(tee: Tee<Scripted>) -> Self {
        Self { tee, data: Vec::new(), trailers: None, ended: None }
    }

    fn poll(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.tee).poll_frame(&mut cx) {
            Poll::Pending => {}
            Poll::Ready(None) => self.ended = Some(Ended::Whole),
            Poll::Ready(Some(Err(error))) => {
                let broken = error.downcast_ref::<Broken>().is_some();
                self.ended = Some(if broken { Ended::Broken } else { Ended::Superseded });
            }
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => self.data.extend_from_slice(&data),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            },
        }
        if self.ended.is_none() && self.tee.is_end_stream() {
            self.ended = Some(Ended::Whole);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Poll(usize),
    Drop(usize),
    Again,
    Release,
}

/// What every attempt must have sent at the end.
struct Original {
    acts: Vec<Act>,
    len: usize,
    longest: usize,
    is_exact: bool,
}

impl Original {
    fn new(acts: Vec<Act>, is_exact: bool) -> Self {
        let lens =
            acts.iter().filter_map(|act| if let Act::Data(len) = act { Some(*len) } else { None });
        let (len, longest) = (lens.clone().sum(), lens.max().unwrap_or(0).max(TRAILERS));
        Self { acts, len, longest, is_exact }
    }

    fn has(&self, wanted: fn(&Act) -> bool) -> bool {
        self.acts.iter().any(wanted)
    }

    fn check(&self, attempt: &Attempt) -> Result<(), TestCaseError> {
        prop_assert_eq!(&attempt.data, &bytes(0, attempt.data.len()));
        if attempt.ended == Some(Ended::Whole) {
            prop_assert!(!self.has(|act| matches!(act, Act::Break)), "an error was swallowed");
            prop_assert_eq!(attempt.data.len(), self.len, "a body was shortened");
            let has_trailers = self.has(|act| matches!(act, Act::Trailers));
            prop_assert_eq!(attempt.trailers.is_some(), has_trailers);
        }
        if attempt.ended != Some(Ended::Superseded) && self.is_exact {
            let left = (self.len - attempt.data.len()) as u64;
            prop_assert_eq!(attempt.tee.size_hint().exact(), Some(left));
        }
        Ok(())
    }
}

fn script() -> impl Strategy<Value = (Vec<Act>, bool)> {
    let data = prop_oneof![4 => 0_usize..40, 2 => 900_usize..1_200, 1 => 2_000_usize..9_000];
    let act = prop_oneof![5 => data.prop_map(Act::Data), 1 => Just(Act::Pend)];
    let last =
        prop_oneof![3 => Just(None), 1 => Just(Some(Act::Trailers)), 1 => Just(Some(Act::Break))];
    (prop::collection::vec(act, 0..12), last, any::<bool>()).prop_map(|(mut acts, last, tells)| {
        acts.extend(last);
        (acts, tells)
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        20 => (0_usize..4).prop_map(Op::Poll),
        2 => (0_usize..4).prop_map(Op::Drop),
        3 => Just(Op::Again),
        1 => Just(Op::Release),
    ];
    prop::collection::vec(op, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_attempt_sends_the_same_bytes_and_trailers_or_fails(
        (acts, tells_its_end) in script(), is_exact: bool, cap in 0_usize..20_000, ops in ops(),
    ) {
        let original = Original::new(acts, is_exact);
        let sent = Arc::<Sent>::default();
        let exact = is_exact.then_some(original.len as u64);
        let acts = original.acts.iter().copied().collect();
        let live = Scripted { acts, tells_its_end, exact, sent: Arc::clone(&sent) };
        let (first, kept) = Tee::new(live, cap);
        let (mut attempts, mut kept, mut newest) = (vec![Some(Attempt::of(first))], Some(kept), 0);

        for op in ops {
            match op {
                Op::Poll(place) => {
                    if let Some(Some(attempt)) = attempts.get_mut(place) {
                        attempt.poll();
                        original.check(attempt)?;
                        prop_assert!(place < newest || attempt.ended != Some(Ended::Superseded));
                        let held = attempt.tee.shared.lock().log.held();
                        prop_assert!(held <= cap + original.longest, "{held} bytes are held");
                    }
                }
                Op::Drop(place) => {
                    attempts.get_mut(place).and_then(Option::take);
                }
                Op::Again => {
                    let Some(kept) = &kept else { continue };
                    let fitted = sent.bytes.load(Ordering::Relaxed) <= cap;
                    let is_whole = kept.is_whole();
                    prop_assert!(is_whole || !fitted || sent.broke.load(Ordering::Relaxed));
                    let again = kept.again().flatten();
                    prop_assert_eq!(again.is_some(), is_whole);
                    if let Some(tee) = again {
                        newest = attempts.len();
                        attempts.push(Some(Attempt::of(tee)));
                    }
                }
                Op::Release => kept = None,
            }
        }
        // Whoever is left goes on, the older ones first.
        for attempt in attempts.iter_mut().flatten() {
            (0..100).for_each(|_| attempt.poll());
            original.check(attempt)?;
            prop_assert!(attempt.ended.is_some(), "an attempt is stuck");
        }
        let last = attempts.into_iter().nth(newest).flatten();
        prop_assert!(last.is_none_or(|last| last.ended != Some(Ended::Superseded)));
    }
}

fn scripted(acts: impl IntoIterator<Item = Act>) -> Scripted {
    let acts = acts.into_iter().collect();
    Scripted { acts, tells_its_end: true, exact: None, sent: Arc::default() }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A body that is fed by hand.
struct Fed(mpsc::UnboundedReceiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|data| data.map(Frame::data).map(Ok))
    }
}

#[test]
fn an_attempt_that_nobody_polls_any_more_keeps_no_other_from_being_woken() {
    let (feed, fed) = mpsc::unbounded_channel();
    let (mut first, kept) = Tee::new(Fed(fed), 100);
    let mut second = kept.again().flatten().unwrap();
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(Arc::clone(&woken));
    assert!(Pin::new(&mut second).poll_frame(&mut Context::from_waker(&waker)).is_pending());
    assert!(Pin::new(&mut first).poll_frame(&mut Context::from_waker(Waker::noop())).is_pending());
    feed.send("body".into()).unwrap();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_body_does_not_keep_itself_alive() {
    let (feed, fed) = mpsc::unbounded_channel();
    let (mut first, kept) = Tee::new(Fed(fed), 100);
    assert!(Pin::new(&mut first).poll_frame(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(kept);
    assert!(!feed.is_closed());
    drop(first);
    assert!(feed.is_closed());
}

#[test]
fn a_body_that_no_attempt_sends_waits_for_the_next() {
    let (feed, fed) = mpsc::unbounded_channel::<Bytes>();
    let (first, kept) = Tee::new(Fed(fed), 100);
    drop(first);
    assert!(!feed.is_closed());
    drop(kept);
    assert!(feed.is_closed());
}

#[test]
fn a_call_that_is_over_records_no_more() {
    let (first, kept) = Tee::new(scripted([Act::Data(10), Act::Data(10), Act::Data(10)]), 100);
    let mut first = Attempt::of(first);
    first.poll();
    assert_eq!(first.tee.shared.lock().log.held(), 10);
    drop(kept);
    assert_eq!(first.tee.shared.lock().log.held(), 0);
    first.poll();
    assert_eq!(first.tee.shared.lock().log.held(), 0);
    first.poll();
    assert_eq!((first.data.len(), first.ended), (30, Some(Ended::Whole)));
}

#[test]
fn over_the_cap_the_newest_attempt_has_the_rest() {
    let (older, kept) = Tee::new(scripted([Act::Data(10), Act::Data(10), Act::Data(10)]), 15);
    let newer = kept.again().flatten().unwrap();
    let (mut older, mut newer) = (Attempt::of(older), Attempt::of(newer));
    for _ in 0..4 {
        older.poll();
    }
    assert_eq!((older.data.len(), older.ended), (10, Some(Ended::Superseded)));
    for _ in 0..4 {
        newer.poll();
    }
    assert_eq!((newer.data.len(), newer.ended), (30, Some(Ended::Whole)));
    assert!(!kept.is_whole());
}

#[test]
fn an_error_reaches_the_newest_attempt_and_nothing_is_sent_again() {
    let (older, kept) = Tee::new(scripted([Act::Data(10), Act::Break]), 100);
    let newer = kept.again().flatten().unwrap();
    let (mut older, mut newer) = (Attempt::of(older), Attempt::of(newer));
    for attempt in [&mut older, &mut newer] {
        attempt.poll();
        attempt.poll();
    }
    assert_eq!((older.ended, newer.ended), (Some(Ended::Superseded), Some(Ended::Broken)));
    assert!(kept.again().is_none());
}

#[test]
fn a_body_that_panics_is_lost_and_not_shortened() {
    let (older, kept) = Tee::new(scripted([Act::Data(10), Act::Panic, Act::Data(10)]), 100);
    let newer = kept.again().flatten().unwrap();
    let (mut older, mut newer) = (Attempt::of(older), Attempt::of(newer));
    older.poll();
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || older.poll()));
    assert!(panics.is_err());
    newer.poll();
    assert_eq!(newer.ended, Some(Ended::Superseded));
    assert!(kept.again().is_none());
}

#[test]
fn attempts_on_many_threads_send_the_same_bytes() {
    for round in 0..200 {
        let (feed, fed) = mpsc::unbounded_channel();
        let (first, kept) = Tee::new(Fed(fed), 1_000_000);
        let attempts = [first, kept.again().flatten().unwrap(), kept.again().flatten().unwrap()];
        let threads = attempts.map(|tee| std::thread::spawn(move || collect(tee)));
        for frame in 0..20 {
            feed.send(bytes(frame * 100, 100).into()).unwrap();
            if (frame + round) % 3 == 0 {
                std::thread::yield_now();
            }
        }
        drop(feed);
        for thread in threads {
            assert_eq!(thread.join().unwrap().unwrap(), bytes(0, 2_000));
        }
    }
}

fn collect<B>(body: B) -> Result<Bytes, B::Error>
where
    B: Body,
{
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { Ok(body.collect().await?.to_bytes()) })
}

#[test]
fn boxed_bodies_wrap_the_tee_in_themselves() {
    every_attempt_is_whole(BoxBody::new(scripted([Act::Data(10), Act::Data(10)])));
    every_attempt_is_whole(UnsyncBoxBody::new(scripted([Act::Data(10), Act::Data(10)])));
    every_attempt_is_whole(Replayable::new(scripted([Act::Data(10), Act::Data(10)])));
    let infallible = Full::<Bytes>::from(bytes(0, 20));
    every_attempt_is_whole(BoxBody::<_, std::convert::Infallible>::new(infallible));
    #[cfg(feature = "axum")]
    every_attempt_is_whole(axum::body::Body::from(bytes(0, 20)));
}

fn every_attempt_is_whole<B>(mut body: B)
where
    B: ReplayBody + Body<Data: Buf, Error: fmt::Debug>,
{
    let first = body.size_hint().exact();
    let mut kept = body.keep(20).unwrap();
    let again = (B::again(&mut kept).unwrap(), B::again(&mut kept).unwrap());
    for attempt in [body, again.0, again.1] {
        assert_eq!(attempt.size_hint().exact(), first);
        assert_eq!(collect(attempt).unwrap(), bytes(0, 20));
        assert!(B::is_whole(&kept));
    }
}

#[test]
fn an_empty_body_stays_as_it_is() {
    let mut body = BoxBody::<Bytes, BoxError>::default();
    let mut kept = body.keep(0).unwrap();
    assert!(kept.shared.is_none());
    let again = BoxBody::again(&mut kept).unwrap();
    assert!(again.is_end_stream() && body.is_end_stream());
    assert_eq!(again.size_hint().exact(), Some(0));
}

#[test]
fn a_body_known_to_be_too_long_stays_as_it_is() {
    let mut body = Replayable::new(Full::<Bytes>::from("body"));
    assert!(body.keep(3).is_none());
    assert!(format!("{body:?}").contains("is_kept: false"));
    assert_eq!(collect(body).unwrap(), "body");
}

#[test]
fn a_body_that_is_kept_twice_is_whole_twice() {
    let mut body = Replayable::new(scripted([Act::Data(10), Act::Data(10)]));
    let (mut outer, mut inner) = (body.keep(100).unwrap(), body.keep(100).unwrap());
    for attempt in
        [body, Replayable::again(&mut inner).unwrap(), Replayable::again(&mut outer).unwrap()]
    {
        assert_eq!(collect(attempt).unwrap(), bytes(0, 20));
    }
}

#[cfg(feature = "reqwest")]
#[test]
fn a_stream_of_reqwest_is_sent_again() {
    use crate::Replay;

    let mut request = ::reqwest::Request::new(http::Method::PUT, "http://stock/".parse().unwrap());
    *request.timeout_mut() = Some(std::time::Duration::from_secs(7));
    *request.body_mut() = Some(::reqwest::Body::wrap(scripted([Act::Data(10), Act::Data(10)])));
    let mut kept = request.keep(20).unwrap();
    for _ in 0..2 {
        let mut again = ::reqwest::Request::again(&mut kept).unwrap();
        assert_eq!(again.timeout(), request.timeout());
        assert_eq!(collect(again.body_mut().take().unwrap()).unwrap(), bytes(0, 20));
    }
    assert_eq!(collect(request.body_mut().take().unwrap()).unwrap(), bytes(0, 20));
    assert!(::reqwest::Request::is_whole(&kept));
}
