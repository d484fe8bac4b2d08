use serde::Deserialize;
use utoipa::ToSchema;

use crate::ask::{BadAsk, LINES_MAX};

/// A return as a customer asks for it, known to be sane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// What the customer calls the order.
    pub(super) order: String,
    pub(super) line: u32,
}

impl Ask {
    /// Reads the body of `POST /returns`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, BadAsk> {
        let wire: Wire = serde_json::from_slice(body)
            .map_err(|error| BadAsk::new(format!("{error}; send {{\"order_id\", \"line\"}}")))?;
        let line = wire.line.as_u64().filter(|line| (1..=LINES_MAX as u64).contains(line));
        let line = line.and_then(|line| u32::try_from(line).ok()).ok_or_else(|| {
            BadAsk::new(format!("line is {}; give a number from 1 to {LINES_MAX}", wire.line))
        })?;
        Ok(Self { order: wire.order_id, line })
    }
}

/// A return as it is sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Return)]
pub(crate) struct Wire {
    order_id: String,
    #[schema(value_type = u32, minimum = 1, maximum = 100)]
    // Any number, so that one out of range is told what the range is.
    line: serde_json::Number,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_names_an_order_and_a_line() {
        let ask = Ask::parse(br#"{"order_id":"42","line":100}"#).unwrap();
        assert_eq!(ask, Ask { order: "42".into(), line: 100 });
    }

    #[test]
    fn what_is_no_return_is_refused() {
        for wrong in [
            "",
            "null",
            "{}",
            r#"{"order_id":"42"}"#,
            r#"{"order_id":42,"line":1}"#,
            r#"{"order_id":"42","line":0}"#,
            r#"{"order_id":"42","line":-1}"#,
            r#"{"order_id":"42","line":1.5}"#,
            r#"{"order_id":"42","line":101}"#,
            r#"{"order_id":"42","line":1e30}"#,
            r#"{"order_id":"42","line":1,"quantity":1}"#,
        ] {
            assert!(Ask::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
