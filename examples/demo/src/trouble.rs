use std::error::Error;
use std::fmt;

use aplomb_inventory_service::serve::BindError;
use aplomb_order_api::StartError;

/// This machine does not let the demo run: what, where, and what would mend it.
#[derive(Debug)]
pub struct Trouble(String);

impl Trouble {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Trouble {}

macro_rules! from {
    ($($error:ty),+) => {$(
        impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )+};
}

from!(BindError, StartError, aplomb_inventory_service::TokensError);
