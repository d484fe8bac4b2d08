use bytes::Buf;
use http::Request;
use http_body_util::{Empty, Full};

/// A body that can be sent more than once.
///
/// Bodies in memory share their bytes. A body that is a stream keeps what has gone by, up to the
/// cap, in whatever [`Kept`](Self::Kept) it likes; `again` then answers `None` when that was not
/// all.
///
/// ```
/// use aplomb_core::ReplayBody;
/// use http_body_util::Full;
///
/// let mut body = Full::new(bytes::Bytes::from("one mug"));
/// let mut kept = body.keep(64 * 1024).expect("it is short");
/// drop(body); // sent
/// assert!(<Full<bytes::Bytes> as ReplayBody>::again(&mut kept).is_some());
/// ```
pub trait ReplayBody: Sized {
    /// What the next attempt needs of it.
    type Kept;

    /// Keeps what the next attempt needs, before this one sends the body; nothing when the body is
    /// known to be longer than `cap` bytes.
    fn keep(&mut self, cap: usize) -> Option<Self::Kept>;

    /// Keeps a whole request. A body that is shared by its clones overrides this with a clone of
    /// the request, which is cheaper than one made piece by piece.
    #[doc(hidden)]
    fn keep_request(request: &mut Request<Self>, cap: usize) -> Option<Request<Self::Kept>> {
        let body = request.body_mut().keep(cap)?;
        Some(with_body(request, body))
    }

    /// The whole request once more.
    #[doc(hidden)]
    fn request_again(kept: &mut Request<Self::Kept>) -> Option<Request<Self>> {
        let body = Self::again(kept.body_mut())?;
        Some(with_body(kept, body))
    }

    /// Whether all of its bytes are still there.
    fn is_whole(_kept: &Self::Kept) -> bool {
        true
    }

    /// The same bytes once more, or `None` when they are gone.
    fn again(kept: &mut Self::Kept) -> Option<Self>;
}

impl<D: Buf + Clone> ReplayBody for Full<D> {
    type Kept = Self;

    fn keep(&mut self, cap: usize) -> Option<Self> {
        (size(self) <= cap as u64).then(|| self.clone())
    }

    fn again(kept: &mut Self) -> Option<Self> {
        Some(kept.clone())
    }

    fn keep_request(request: &mut Request<Self>, cap: usize) -> Option<Request<Self>> {
        if size(request.body()) > cap as u64 {
            return None;
        }
        if request.headers().is_empty() {
            let body = request.body().clone();
            return Some(with_body(request, body));
        }
        Some(request.clone())
    }

    fn request_again(kept: &mut Request<Self>) -> Option<Request<Self>> {
        Some(kept.clone())
    }
}

fn size(body: &impl http_body::Body) -> u64 {
    body.size_hint().lower()
}

/// The same request around another body.
fn with_body<A, B>(like: &Request<A>, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = like.method().clone();
    *request.uri_mut() = like.uri().clone();
    *request.version_mut() = like.version();
    // Copying an empty map costs as much as all the rest.
    if !like.headers().is_empty() {
        *request.headers_mut() = like.headers().clone();
    }
    if !like.extensions().is_empty() {
        *request.extensions_mut() = like.extensions().clone();
    }
    request
}

impl<D: Buf> ReplayBody for Empty<D> {
    type Kept = ();

    fn keep(&mut self, _: usize) -> Option<()> {
        Some(())
    }

    fn again((): &mut ()) -> Option<Self> {
        Some(Self::new())
    }
}

/// No body at all, as in tests and in services that carry no bytes.
impl ReplayBody for () {
    type Kept = ();

    fn keep(&mut self, _: usize) -> Option<()> {
        Some(())
    }

    fn again((): &mut ()) -> Option<()> {
        Some(())
    }
}
