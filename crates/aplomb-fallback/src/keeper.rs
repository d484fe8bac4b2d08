//! What learns from the answers that pass: the last good answer, or nobody.

#[cfg(feature = "last-good")]
pub(crate) use crate::last_good::Tee;
#[cfg(feature = "last-good")]
pub(crate) use crate::last_good::{LastGood as Keeper, Watch};

#[cfg(not(feature = "last-good"))]
pub(crate) use nobody::Tee;
#[cfg(not(feature = "last-good"))]
pub(crate) use nobody::{Keeper, Watch};

/// No value of these types exists.
#[cfg(not(feature = "last-good"))]
mod nobody {
    use aplomb_core::time::Instant;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use http_body::Frame;

    use crate::rules::{Ended, Intent};

    #[derive(Clone, Debug)]
    pub(crate) enum Keeper {}

    impl Keeper {
        pub(crate) fn watch(&self, _: &http::Request<()>, _: Intent, _: Instant) -> Watch {
            match *self {}
        }
    }

    #[derive(Debug)]
    pub(crate) enum Watch {}

    impl Watch {
        pub(crate) fn settle(
            self,
            _: &http::Request<()>,
            _: &Ended,
            _: Option<(StatusCode, &HeaderMap)>,
        ) -> Option<Tee> {
            match self {}
        }
    }

    #[derive(Debug)]
    pub enum Tee {}

    impl Tee {
        pub(crate) fn has_room(&self, _: u64) -> bool {
            match *self {}
        }

        pub(crate) fn copy(&mut self, _: &Frame<Bytes>) -> bool {
            match *self {}
        }

        pub(crate) fn keep(self) {
            match self {}
        }
    }
}
