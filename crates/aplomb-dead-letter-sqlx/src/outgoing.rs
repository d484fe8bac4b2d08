use std::error::Error;
use std::fmt;
use std::time::Duration;

use aplomb_dead_letter::{KeptRequest, LetterId, key_of};
use bytes::Bytes;
use http::{HeaderName, Request};

/// A request to put into an outbox.
///
/// ```
/// use std::time::Duration;
/// use aplomb_dead_letter_sqlx::Outgoing;
/// use bytes::Bytes;
///
/// let request = http::Request::post("http://warehouse:7002/shipments")
///     .header("content-type", "application/json")
///     .header("idempotency-key", "order_123_shipment")
///     .body(Bytes::from(r#"{"order_id": "123"}"#))?;
/// let job = Outgoing::new(request, Duration::from_secs(24 * 3600))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Outgoing {
    pub(crate) id: LetterId,
    pub(crate) key: Box<str>,
    pub(crate) request: KeptRequest,
    pub(crate) horizon: Duration,
    pub(crate) delay: Duration,
}

impl Outgoing {
    /// A request that is tried for as long as `horizon` before it is a dead letter. Of its headers
    /// the usual ones are kept, and none that authenticates: the worker's client does that.
    ///
    /// # Errors
    ///
    /// [`NotOutgoing`] for a request without an `Idempotency-Key`, or with a body that is over
    /// 64 KiB: no letter would hold it.
    pub fn new(request: Request<Bytes>, horizon: Duration) -> Result<Self, NotOutgoing> {
        Self::keeping(request, horizon, &[], BODY_CAP)
    }

    /// The same with further headers, and another cap on the body: as the dead-letter layer has
    /// them.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn keeping(
        request: Request<Bytes>,
        horizon: Duration,
        headers: &[HeaderName],
        body_cap: usize,
    ) -> Result<Self, NotOutgoing> {
        let (parts, body) = request.into_parts();
        let key = key_of(&parts.headers).ok_or(NotOutgoing::Key)?;
        if body.len() > body_cap {
            return Err(NotOutgoing::Body { cap: body_cap });
        }
        let request = KeptRequest::of(&parts, body, headers);
        let id = LetterId::of(&request.method, &request.uri, &key);
        Ok(Self { id, key: key.into(), request, horizon, delay: Duration::ZERO })
    }

    /// Not to be taken before this much time has passed.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The name of its work.
    pub fn id(&self) -> LetterId {
        self.id
    }
}

/// A request that cannot wait in an outbox.
///
/// ```
/// use aplomb_dead_letter_sqlx::NotOutgoing;
///
/// fn advice(refused: &NotOutgoing) -> String {
///     match refused {
///         NotOutgoing::Key => "give it an idempotency key".to_owned(),
///         NotOutgoing::Body { cap } => format!("store what is over {cap} bytes elsewhere"),
///         other => other.to_string(),
///     }
/// }
/// assert_eq!(advice(&NotOutgoing::Key), "give it an idempotency key");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotOutgoing {
    /// It has no `Idempotency-Key`, or more than one: sent again, it might be done twice.
    Key,
    /// Its body is too long for a letter.
    Body {
        /// How many bytes a letter holds.
        cap: usize,
    },
}

impl fmt::Display for NotOutgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("a job needs one idempotency key; make it of business data"),
            Self::Body { cap } => {
                write!(f, "the body is longer than {cap} bytes; send a reference, or raise the cap")
            }
        }
    }
}

impl Error for NotOutgoing {}

/// What the dead-letter layer holds, unless told otherwise.
const BODY_CAP: usize = 64 * 1024;
