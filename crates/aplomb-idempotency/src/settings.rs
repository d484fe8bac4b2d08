use std::sync::Arc;
use std::time::Duration;

use aplomb_core::Dice;
use http::HeaderName;

use crate::recover::Recover;
use crate::seal::Sealer;
use crate::{Bare, Keep, Lapsed, ServerErrors, Waiting};

/// What a layer was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) lapsed: Lapsed,
    pub(crate) recover: Option<Recover>,
    pub(crate) server_errors: ServerErrors,
    pub(crate) lease: Duration,
    pub(crate) keep: Keep,
    pub(crate) body_cap: usize,
    pub(crate) upload: Duration,
    pub(crate) sealer: Sealer,
    pub(crate) bare: Bare,
    pub(crate) global_scope: Option<Arc<str>>,
    pub(crate) fingerprinted: Vec<HeaderName>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) retry_after: Duration,
    pub(crate) dice: Dice,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lapsed: Lapsed::Unknown,
            recover: None,
            server_errors: ServerErrors::Keep,
            lease: Duration::from_secs(10),
            keep: Keep {
                answer: Duration::from_secs(24 * 3600),
                key: Duration::from_secs(6 * 24 * 3600),
            },
            body_cap: 64 * 1024,
            upload: UPLOAD_MAX,
            sealer: Sealer::default(),
            bare: Bare::Taken,
            global_scope: None,
            fingerprinted: Vec::new(),
            waiting: None,
            retry_after: Duration::from_secs(1),
            dice: Dice::default(),
        }
    }
}

/// How long a request's body may take to arrive unless told otherwise: long enough for a body of
/// the cap's size over the slowest of lines, and an end to one that never comes.
pub const UPLOAD_MAX: Duration = Duration::from_secs(30);
