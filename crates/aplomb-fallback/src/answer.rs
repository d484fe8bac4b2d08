use aplomb_core::Answer;
use bytes::Bytes;
use http::{Response, Uri};
use http_body::Body;

use crate::body::FallbackBody;
use crate::keeper::Tee;

/// A response that a fallback can stand in for.
///
/// Two families fit: [`http::Response`], whose body becomes a [`FallbackBody`], and, with the feature
/// `reqwest`, `reqwest::Response`, which stays what it is. It is sealed by the type of a copy that
/// nobody outside can make.
///
/// ```
/// use aplomb_fallback::StandIn;
///
/// // What a fallback can answer for: hyper's and axum's responses, and reqwest's.
/// fn can_be_answered_for<R: StandIn>() {}
/// can_be_answered_for::<http::Response<http_body_util::Full<bytes::Bytes>>>();
/// ```
pub trait StandIn: Answer<Rest: Body> + Sized {
    /// What the caller gets.
    type Output;
    /// Whether it says what URI it comes from.
    #[doc(hidden)]
    const NAMES_URI: bool;

    /// As it came.
    fn passed(self) -> Self::Output;
    /// As it came; what goes by is copied.
    #[doc(hidden)]
    fn copied(self, tee: Tee) -> Self::Output;
    /// A fallback's answer to a request for `uri`.
    fn whole(answer: Response<Bytes>, uri: &Uri) -> Self::Output;
    /// How long its body is at least.
    fn least_length(&self) -> u64;
}

impl<B: Body<Data = Bytes>> StandIn for Response<B> {
    type Output = Response<FallbackBody<B>>;
    const NAMES_URI: bool = false;

    fn passed(self) -> Self::Output {
        self.map(FallbackBody::passed)
    }

    fn copied(self, tee: Tee) -> Self::Output {
        self.map(|body| FallbackBody::copied(body, tee))
    }

    fn whole(answer: Response<Bytes>, _: &Uri) -> Self::Output {
        answer.map(FallbackBody::whole)
    }

    fn least_length(&self) -> u64 {
        self.body().size_hint().lower()
    }
}

#[cfg(feature = "reqwest")]
impl StandIn for reqwest::Response {
    type Output = Self;
    const NAMES_URI: bool = true;

    fn passed(self) -> Self {
        self
    }

    fn copied(self, tee: Tee) -> Self {
        let url = self.url().clone();
        let response: Response<reqwest::Body> = self.into();
        let body = |body| reqwest::Body::wrap(FallbackBody::copied(body, tee));
        at(response.map(body), Some(url))
    }

    fn whole(answer: Response<Bytes>, uri: &Uri) -> Self {
        at(answer.map(reqwest::Body::from), reqwest::Url::parse(&uri.to_string()).ok())
    }

    fn least_length(&self) -> u64 {
        self.content_length().unwrap_or_default()
    }
}

/// reqwest carries the URL of a response in an extension that only it can write.
#[cfg(feature = "reqwest")]
fn at(mut response: Response<reqwest::Body>, url: Option<reqwest::Url>) -> reqwest::Response {
    use reqwest::ResponseBuilderExt;
    let carrier = url.and_then(|url| Response::builder().url(url).body(()).ok());
    if let Some(carrier) = carrier {
        response.extensions_mut().extend(carrier.into_parts().0.extensions);
    }
    response.into()
}
