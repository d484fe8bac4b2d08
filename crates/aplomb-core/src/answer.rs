use http::{Extensions, HeaderMap, StatusCode};

/// What every layer may read of a response.
///
/// Two families fit: [`http::Response`] and, with the feature `reqwest`, `reqwest::Response`.
pub trait Answer {
    /// What is left to read of a response that nobody wants.
    type Rest;

    /// Its status.
    fn status(&self) -> StatusCode;
    /// Its headers.
    fn headers(&self) -> &HeaderMap;
    /// Its headers, to write on.
    fn headers_mut(&mut self) -> &mut HeaderMap;
    /// Its extensions, to read the notes of the layers inside.
    fn extensions(&self) -> &Extensions;
    /// Its extensions, to leave a note for the layers outside.
    fn extensions_mut(&mut self) -> &mut Extensions;
    /// Gives up the response but not its connection: a body that is read to its end lets the
    /// connection be used again.
    fn into_rest(self) -> Self::Rest;
}

impl<B> Answer for http::Response<B> {
    type Rest = B;

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }

    fn into_rest(self) -> B {
        self.into_body()
    }
}

#[cfg(feature = "reqwest")]
impl Answer for reqwest::Response {
    type Rest = reqwest::Body;

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }

    fn into_rest(self) -> reqwest::Body {
        http::Response::from(self).into_body()
    }
}
