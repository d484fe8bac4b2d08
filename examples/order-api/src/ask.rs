//! What a customer asks for.

use std::error::Error;
use std::fmt;

use serde::Deserialize;
use utoipa::ToSchema;

/// An order as a customer sends it, known to be sane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) customer: String,
    pub(crate) lines: Vec<AskedLine>,
}

/// One article and how many of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AskedLine {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
}

impl Ask {
    /// Reads the body of `POST /orders`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, BadAsk> {
        let wire: Wire = serde_json::from_slice(body).map_err(|error| {
            BadAsk(format!(
                "{error}; send {{\"customer\", \"lines\": [{{\"sku\", \"quantity\"}}]}}"
            ))
        })?;
        let customer = named("customer", wire.customer, CUSTOMER_MAX)?;
        if wire.lines.is_empty() {
            return Err(BadAsk("lines is empty; order at least one article".into()));
        }
        if let Some(bad) = too_many(wire.lines.len()) {
            return Err(bad);
        }
        let lines = (1..).zip(wire.lines).map(|(number, line)| line.check(number));
        let lines = lines.collect::<Result<_, _>>()?;
        Ok(Self { customer, lines })
    }
}

impl Ask {
    /// What is wrong with an order whose only known fault is that it is long.
    pub(crate) fn too_many_lines(body: &[u8]) -> Option<BadAsk> {
        let wire: Wire = serde_json::from_slice(body).ok()?;
        too_many(wire.lines.len())
    }
}

fn too_many(lines: usize) -> Option<BadAsk> {
    let why = || BadAsk(format!("there are {lines} lines; send at most {LINES_MAX}"));
    (lines > LINES_MAX).then(why)
}

/// An order as it is sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Ask)]
pub(crate) struct Wire {
    #[schema(min_length = 1, max_length = 200)]
    customer: String,
    #[schema(min_items = 1, max_items = 100)]
    lines: Vec<WireLine>,
}

/// One article and how many of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AskedLine)]
struct WireLine {
    #[schema(min_length = 1, max_length = 64)]
    sku: String,
    // Any number, so that one out of range is told what the range is.
    #[schema(value_type = u32, minimum = 1, maximum = 1_000_000)]
    quantity: serde_json::Number,
}

impl WireLine {
    fn check(self, number: u32) -> Result<AskedLine, BadAsk> {
        let sku = named(&format!("the sku of line {number}"), self.sku, SKU_MAX)?;
        let quantity = self
            .quantity
            .as_u64()
            .and_then(|quantity| u32::try_from(quantity).ok())
            .filter(|quantity| (1..=QUANTITY_MAX).contains(quantity))
            .ok_or_else(|| {
                BadAsk(format!(
                    "the quantity of line {number} is {}; give a whole number from 1 to {QUANTITY_MAX}",
                    self.quantity
                ))
            })?;
        Ok(AskedLine { sku, quantity })
    }
}

fn named(what: &str, name: String, most: usize) -> Result<String, BadAsk> {
    let fits = !name.trim().is_empty() && name.chars().count() <= most;
    if fits && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    Err(BadAsk(format!("{what} must have 1 to {most} printable characters")))
}

/// A body that is not what it should be.
#[derive(Debug)]
pub(crate) struct BadAsk(String);

impl BadAsk {
    /// For this reason.
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for BadAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BadAsk {}

const CUSTOMER_MAX: usize = 200;
pub(crate) const LINES_MAX: usize = 100;
const SKU_MAX: usize = 64;
const QUANTITY_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_article_may_be_on_two_lines() {
        let line = json!({"sku": "mug", "quantity": 2});
        let ask = parse(&json!({"customer": "ann", "lines": [line, line]})).unwrap();
        assert_eq!(ask.lines.len(), 2);
        assert_eq!(ask.lines[1].quantity, 2);
    }

    #[test]
    fn a_quantity_out_of_range_is_told_the_range() {
        for quantity in [json!(0), json!(-1), json!(1.5), json!(1_000_001), json!(u64::MAX)] {
            let lines = json!([{"sku": "mug", "quantity": quantity}]);
            let error = parse(&json!({"customer": "ann", "lines": lines})).unwrap_err();
            let message = format!(
                "the quantity of line 1 is {quantity}; give a whole number from 1 to 1000000"
            );
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn an_order_has_between_one_and_a_hundred_lines() {
        let lines = |count| vec![json!({"sku": "mug", "quantity": 1}); count];
        for (count, fits) in [(0, false), (1, true), (100, true), (101, false)] {
            let ask = parse(&json!({"customer": "ann", "lines": lines(count)}));
            assert_eq!(ask.is_ok(), fits, "{count}");
        }
    }

    #[test]
    fn what_is_no_order_is_refused() {
        let line = json!({"sku": "mug", "quantity": 1});
        for wrong in [
            json!(null),
            json!([]),
            json!({"lines": [line]}),
            json!({"customer": "", "lines": [line]}),
            json!({"customer": " ", "lines": [line]}),
            json!({"customer": 7, "lines": [line]}),
            json!({"customer": "ann", "lines": line}),
            json!({"customer": "ann", "lines": [{"sku": "mug"}]}),
            json!({"customer": "ann", "lines": [line], "express": true}),
            json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": 1, "gift": true}]}),
            json!({"customer": "ann", "lines": [{"sku": "", "quantity": 1}]}),
            json!({"customer": "ann", "lines": [{"sku": "a\nb", "quantity": 1}]}),
            json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": "1"}]}),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
        assert!(Ask::parse(b"").is_err());
        assert!(Ask::parse(b"customer=ann").is_err());
    }

    fn parse(value: &serde_json::Value) -> Result<Ask, BadAsk> {
        Ask::parse(value.to_string().as_bytes())
    }
}
