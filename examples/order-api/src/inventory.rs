//! Inventory, as the Order API sees it: three questions, and answers that cannot be mistaken.

use aplomb_core::{BoxError, IDEMPOTENCY_KEY, cause};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use crate::availability::Changing;
use crate::caller::Caller;
use crate::journal::{Journal, Scribe};
use crate::order::{Line, OrderId};
use crate::policy::Operation;
use crate::wire::Wire;

/// The client of one Inventory Service.
#[derive(Clone)]
pub(crate) struct Inventory {
    token: HeaderValue,
    journal: Journal,
    wire: Wire,
}

impl Inventory {
    /// The one at the end of this wire, which knows us by this token.
    pub(crate) fn new(wire: Wire, token: HeaderValue, journal: Journal) -> Self {
        Self { token, journal, wire }
    }

    /// The way to it.
    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Reserves a line under the key that belongs to it.
    pub(crate) async fn reserve(&self, order: OrderId, line: &Line, on: &Errand) -> Reserving {
        let body = json!({
            "order_id": order.to_string(),
            "line": line.number,
            "sku": line.sku,
            "quantity": line.quantity,
        });
        let key = format!("\"{}\"", order.reservation_key(line.number));
        // Set once, outside the retries: every attempt carries this key and these bytes.
        let headers = [(header::CONTENT_TYPE, "application/json"), (IDEMPOTENCY_KEY, &*key)];
        let path = "/inventory/reservations";
        let request = self.request(Method::POST, path, &headers, body.to_string().into(), on);
        let scribe = Scribe::new(&self.journal, order, line.number, "reserve");
        let _changing = self.changing(&line.sku);
        match self.send(on.by.reserving(), request, scribe).await {
            Ok(response) => Reserving::read(&response),
            Err(error) => Reserving::Unknown(Doubt::unanswered(&*error)),
        }
    }

    /// Gives back what a line holds. Twice is once.
    pub(crate) async fn release(
        &self,
        order: OrderId,
        line: &Line,
        reservation: &str,
        on: &Errand,
    ) -> Result<(), Doubt> {
        let path = format!("/inventory/reservations/{reservation}");
        let request = self.request(Method::DELETE, &path, &[], Bytes::new(), on);
        let scribe = Scribe::new(&self.journal, order, line.number, "release");
        let _changing = self.changing(&line.sku);
        match self.send(on.by.releasing(), request, scribe).await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(Doubt::answered(&response)),
            Err(error) => Err(Doubt::unanswered(&*error)),
        }
    }

    /// How many there are of a product: Inventory's answer, or what is told instead.
    pub(crate) async fn look(
        &self,
        sku: &str,
        caller: Caller,
    ) -> Result<Response<Bytes>, BoxError> {
        let on = Errand { by: By::Customer, caller };
        let request = self.request(Method::GET, &availability_of(sku), &[], Bytes::new(), &on);
        self.send(Operation::Availability, request, Scribe::silent()).await
    }

    /// From here to the end of the scope, the number of this product may change.
    fn changing(&self, sku: &str) -> Changing {
        let uri = Uri::try_from(format!("{BASE}{}", availability_of(sku)));
        self.wire.numbers().changes(uri.ok())
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Bytes,
        on: &Errand,
    ) -> http::Result<Request<Full<Bytes>>> {
        let mut builder = Request::builder()
            .method(method)
            .uri(format!("{BASE}{path}"))
            .header(header::AUTHORIZATION, self.token.clone());
        for (name, value) in headers {
            builder = builder.header(name, *value);
        }
        let mut request = builder.body(Full::new(body))?;
        on.caller.speaks(&mut request);
        Ok(request)
    }

    async fn send(
        &self,
        operation: Operation,
        request: http::Result<Request<Full<Bytes>>>,
        scribe: Scribe,
    ) -> Result<Response<Bytes>, BoxError> {
        let response = self.wire.send(operation, request?, scribe).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap_or_else(|never| match never {});
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

/// One product has one address, however its name was written.
fn availability_of(sku: &str) -> String {
    format!("/products/{}/availability", utf8_percent_encode(sku, NON_ALPHANUMERIC))
}

/// On whose behalf a call is made.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub(crate) by: By,
    pub(crate) caller: Caller,
}

/// Who goes to Inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A customer waits.
    Customer,
    /// Nobody waits: it is one pass of many.
    Reconciler,
}

impl By {
    const fn reserving(self) -> Operation {
        match self {
            Self::Customer => Operation::Reserve,
            Self::Reconciler => Operation::Settle,
        }
    }

    const fn releasing(self) -> Operation {
        match self {
            Self::Customer => Operation::Release,
            Self::Reconciler => Operation::Settle,
        }
    }
}

/// What came of an attempt to reserve.
#[derive(Debug, PartialEq)]
pub(crate) enum Reserving {
    /// Inventory holds the line under this reservation.
    Reserved(String),
    /// Too little is left. Said by Inventory in so many words, and by nothing else.
    SoldOut,
    /// There is no such article.
    UnknownSku,
    /// Nobody knows.
    Unknown(Doubt),
}

impl Reserving {
    fn read(response: &Response<Bytes>) -> Self {
        let kind = || problem_kind(response);
        match response.status() {
            StatusCode::CREATED | StatusCode::OK => match read::<Made>(response) {
                Some(made) => Self::Reserved(made.reservation_id),
                None => Self::Unknown(Doubt::answered(response)),
            },
            StatusCode::CONFLICT if kind().is_some_and(|kind| kind.ends_with("/out-of-stock")) => {
                Self::SoldOut
            }
            // A 404 without this type may come from a proxy or a wrong address.
            StatusCode::NOT_FOUND if kind().is_some_and(|kind| kind.ends_with("/unknown-sku")) => {
                Self::UnknownSku
            }
            _ => Self::Unknown(Doubt::answered(response)),
        }
    }
}

/// Why an outcome is not known.
#[derive(Debug, PartialEq)]
pub(crate) struct Doubt {
    /// What was seen.
    pub(crate) seen: String,
    /// Whether it says that we, or Inventory, have a bug: another try will not help by itself.
    pub(crate) is_bug: bool,
}

impl Doubt {
    fn answered(response: &Response<Bytes>) -> Self {
        let (status, kind) = (response.status(), problem_kind(response));
        let waits = response.headers().contains_key(header::RETRY_AFTER);
        let throttled = matches!(status.as_u16(), 408 | 425 | 429);
        Self {
            seen: format!("{status} {}", kind.unwrap_or_default()),
            is_bug: status.is_client_error() && !waits && !throttled,
        }
    }

    fn unanswered(error: &(dyn std::error::Error + 'static)) -> Self {
        let late = cause::<aplomb_core::DeadlineExceeded>(error).is_some();
        Self {
            seen: if late { "no answer in time".to_owned() } else { error.to_string() },
            is_bug: false,
        }
    }
}

#[derive(Deserialize)]
struct Made {
    reservation_id: String,
}

#[derive(Deserialize)]
struct Typed {
    r#type: String,
}

fn problem_kind(response: &Response<Bytes>) -> Option<String> {
    read::<Typed>(response).map(|problem| problem.r#type)
}

fn read<T: serde::de::DeserializeOwned>(response: &Response<Bytes>) -> Option<T> {
    serde_json::from_slice(response.body()).ok()
}

/// What is addressed to it; a number of stock is kept under this name.
const BASE: &str = "http://inventory";

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::Problem;

    #[test]
    fn only_inventorys_own_word_for_it_means_sold_out() {
        let conflict = |kind: &'static str| problem(kind, StatusCode::CONFLICT);
        assert_eq!(Reserving::read(&conflict("/problems/out-of-stock")), Reserving::SoldOut);
        for kind in [
            "/problems/idempotency/in-flight",
            "/problems/idempotency/outcome-unknown",
            "about:blank",
        ] {
            let read = Reserving::read(&conflict(kind));
            assert!(matches!(read, Reserving::Unknown(_)), "{kind}");
        }
        let bare = answer(StatusCode::CONFLICT, "sold out");
        assert!(matches!(Reserving::read(&bare), Reserving::Unknown(_)));
    }

    #[test]
    fn a_404_that_is_not_about_the_article_says_nothing() {
        let unknown = problem("/problems/unknown-sku", StatusCode::NOT_FOUND);
        assert_eq!(Reserving::read(&unknown), Reserving::UnknownSku);
        let nowhere = problem("/problems/unknown-path", StatusCode::NOT_FOUND);
        assert!(matches!(Reserving::read(&nowhere), Reserving::Unknown(_)));
    }

    #[test]
    fn what_our_own_key_can_never_answer_is_a_bug() {
        for (status, is_bug) in [(422, true), (410, true), (401, true), (503, false), (429, false)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            let Reserving::Unknown(doubt) = Reserving::read(&answer(status, "")) else {
                panic!("{status}");
            };
            assert_eq!(doubt.is_bug, is_bug, "{status}");
        }
    }

    #[test]
    fn a_201_that_cannot_be_read_is_not_a_reservation() {
        let made = answer(StatusCode::CREATED, r#"{"reservation_id":"r1"}"#);
        assert_eq!(Reserving::read(&made), Reserving::Reserved("r1".into()));
        let cut = answer(StatusCode::CREATED, r#"{"reservation"#);
        assert!(matches!(Reserving::read(&cut), Reserving::Unknown(_)));
    }

    fn problem(kind: &'static str, status: StatusCode) -> Response<Bytes> {
        Problem::new(kind, "", status).into_response()
    }

    fn answer(status: StatusCode, body: &'static str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        response
    }
}
