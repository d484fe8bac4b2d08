//! Products and reservations, and what callers may ask of them.

use std::ops::RangeInclusive;

use aplomb_core::Problem;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::answer::{bad_field, bad_request};

/// What is to be reserved, checked.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct Wanted {
    #[schema(min_length = 1, max_length = 64)]
    pub(crate) order_id: String,
    #[schema(maximum = 1_000_000)]
    pub(crate) line: u32,
    #[schema(min_length = 1, max_length = 64)]
    pub(crate) sku: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub(crate) quantity: u32,
}

impl Wanted {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::parse(body)?;
        Ok(Self {
            order_id: fields.name("order_id")?,
            line: fields.whole("line", LINES)?,
            sku: fields.name("sku")?,
            quantity: fields.whole("quantity", QUANTITIES)?,
        })
    }
}

/// The stock that a product is to have, as it is sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `parse_stock` reads")]
pub(crate) struct Stock {
    #[schema(maximum = 1_000_000_000)]
    stock: u32,
}

/// The stock that a product is to have.
pub(crate) fn parse_stock(body: &[u8]) -> Result<u32, Problem> {
    Fields::parse(body)?.whole("stock", STOCKS)
}

/// A reservation, as it is answered.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Reservation {
    #[serde(rename = "reservation_id")]
    pub(crate) id: String,
    pub(crate) order_id: String,
    pub(crate) line: u32,
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) status: String,
    pub(crate) created_at: String,
}

/// What is left of a product.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Availability {
    pub(crate) sku: String,
    pub(crate) available: i64,
    pub(crate) as_of: String,
}

/// The figures that must add up, counted from the rows.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Audit {
    pub(crate) initial: i64,
    pub(crate) available: i64,
    pub(crate) reserved: i64,
    pub(crate) reservations: i64,
    pub(crate) distinct_keys: i64,
    pub(crate) duplicates: i64,
}

/// Something that was done.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Event {
    pub(crate) caller: String,
    pub(crate) key: Option<String>,
    pub(crate) fence: Option<i64>,
    pub(crate) effect: String,
    pub(crate) sku: Option<String>,
    pub(crate) quantity: Option<i64>,
    pub(crate) reservation_id: Option<String>,
    pub(crate) time: String,
}

/// What was done, oldest first.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Events {
    pub(crate) events: Vec<Event>,
}

/// Checks a name that callers choose: a sku or an order.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), Problem> {
    let length = name.chars().count();
    if (1..=NAME_MAX).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(bad_field(field, format!("{field} {NAMES}")))
}

/// The fields of a JSON object.
struct Fields(Map<String, Value>);

impl Fields {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(bad_request("the body must be a JSON object")),
            Err(error) => Err(bad_request(format!("the body is not JSON: {error}"))),
        }
    }

    fn name(&self, field: &str) -> Result<String, Problem> {
        let Some(Value::String(name)) = self.0.get(field) else {
            return Err(self.wrong(field, NAMES));
        };
        check_name(field, name)?;
        Ok(name.clone())
    }

    fn whole(&self, field: &str, range: RangeInclusive<u32>) -> Result<u32, Problem> {
        let number = self.0.get(field).and_then(Value::as_u64);
        number
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (least, most) = range.into_inner();
                let must = format!("must be a whole number from {least} to {most}");
                self.wrong(field, &must)
            })
    }

    fn wrong(&self, field: &str, must: &str) -> Problem {
        let is = match self.0.get(field) {
            None => "is missing; it ",
            Some(_) => "",
        };
        bad_field(field, format!("{field} {is}{must}"))
    }
}

const NAMES: &str = "must be a string of 1 to 64 characters without control characters";
const NAME_MAX: usize = 64;
const LINES: RangeInclusive<u32> = 0..=1_000_000;
const QUANTITIES: RangeInclusive<u32> = 1..=1_000_000;
const STOCKS: RangeInclusive<u32> = 0..=1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_body_is_read() {
        let body = br#"{"order_id":"123","line":1,"sku":"mug","quantity":2}"#;
        let wanted = Wanted { order_id: "123".into(), line: 1, sku: "mug".into(), quantity: 2 };
        assert_eq!(Wanted::parse(body).unwrap(), wanted);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_mend_it() {
        let long = format!(r#"{{"order_id":"{}"}}"#, "x".repeat(65));
        let name = "must be a string of 1 to 64 characters without control characters";
        let line = "must be a whole number from 0 to 1000000";
        let quantity = "must be a whole number from 1 to 1000000";
        for (body, field, says) in [
            (r#"{"line":1}"#, "order_id", format!("is missing; it {name}")),
            (r#"{"order_id":7}"#, "order_id", name.into()),
            (r#"{"order_id":""}"#, "order_id", name.into()),
            (r#"{"order_id":"a\nb"}"#, "order_id", name.into()),
            (&long, "order_id", name.into()),
            (r#"{"order_id":"1","line":-1}"#, "line", line.into()),
            (r#"{"order_id":"1","line":"1"}"#, "line", line.into()),
            (&rest(""), "quantity", format!("is missing; it {quantity}")),
            (&rest(r#","quantity":0"#), "quantity", quantity.into()),
            (&rest(r#","quantity":-3"#), "quantity", quantity.into()),
            (&rest(r#","quantity":1.5"#), "quantity", quantity.into()),
            (&rest(r#","quantity":99999999999"#), "quantity", quantity.into()),
        ] {
            let expected = bad_field(field, format!("{field} {says}"));
            assert_eq!(Wanted::parse(body.as_bytes()), Err(expected), "{body}");
        }
    }

    fn rest(more: &str) -> String {
        format!(r#"{{"order_id":"1","line":1,"sku":"m"{more}}}"#)
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (body, detail) in [
            ("[]", "the body must be a JSON object"),
            ("{", "the body is not JSON: EOF while parsing an object at line 1 column 1"),
        ] {
            assert_eq!(Wanted::parse(body.as_bytes()), Err(bad_request(detail)));
        }
    }

    #[test]
    fn sixty_four_characters_are_counted_as_people_count() {
        assert!(check_name("sku", &"ü".repeat(64)).is_ok());
    }
}
