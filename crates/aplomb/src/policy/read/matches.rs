//! The requests that an operation matches.

use http::Method;
use toml::de::DeValue;

use super::super::bounds::{MATCHES_MAX, WORDS_MAX};
use super::super::operation::RequestPattern;
use super::hops::list;
use super::reader::Reader;
use super::scalar::{short, told};
use super::section::{Section, Value};

/// One text, or a list of them: `"POST /inventory/reservations"`.
pub(crate) fn matches(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Vec<RequestPattern> {
    let Some(value) = section.get(reader, "match") else { return Vec::new() };
    let name = section.below("match");
    let values = match value.get_ref() {
        DeValue::Array(_) => list(reader, section, "match", MATCHES_MAX),
        _ => vec![value],
    };
    values.into_iter().filter_map(|value| pattern(reader, &name, value)).collect()
}

fn pattern(reader: &mut Reader<'_>, name: &str, value: &Value<'_>) -> Option<RequestPattern> {
    let DeValue::String(text) = value.get_ref() else {
        reader.refuse(&value.span(), format!("`{name}` cannot be {}", told(value)), MEND);
        return None;
    };
    let Some((method, path)) = text.trim().split_once(' ') else {
        let what = format!("`{name}` cannot be \"{}\": it needs a method and a path", short(text));
        reader.refuse(&value.span(), what, MEND);
        return None;
    };
    let path = path.trim();
    if method != method.to_uppercase() {
        let mend =
            format!("write \"{} {path}\": methods are case-sensitive", method.to_uppercase());
        reader.refuse(&value.span(), format!("`{method}` is no method"), mend);
        return None;
    }
    let Ok(parsed) = Method::from_bytes(method.as_bytes()) else {
        reader.refuse(&value.span(), format!("`{}` is no method", short(method)), MEND);
        return None;
    };
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_path || path.contains(['?', '#']) || path.len() > WORDS_MAX {
        let what = format!("`{}` is no path template", short(path));
        let mend =
            format!("begin it with `/`, without query, at most {WORDS_MAX} letters of ASCII");
        reader.refuse(&value.span(), what, mend);
        return None;
    }
    Some(RequestPattern { method: parsed, path: path.into() })
}

const MEND: &str = "write a method and a path template, such as \"POST /orders/{id}\"";
