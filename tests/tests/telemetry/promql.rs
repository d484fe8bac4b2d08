//! As much of `PromQL` as is needed to tell which series a query looks at.

/// The metrics that a query names, each with the labels that it asks of it.
pub(crate) fn selectors(query: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let end = rest[start..].find(|c: char| !is_of_name(c)).map_or(rest.len(), |n| start + n);
        // A number's unit, such as the m of 5m, is no name.
        let is_unit = rest[..start].ends_with(|c: char| c.is_ascii_digit() || c == '$');
        let name = &rest[start..end];
        rest = &rest[end..];
        if is_unit || name == "e" {
            continue;
        }
        if LISTS.contains(&name) {
            rest = rest.split_once(')').map_or("", |(_, after)| after);
        } else if let Some(after) = rest.strip_prefix('{') {
            let (labels, after) = labels(after);
            found.push((name.to_owned(), labels));
            rest = after;
        } else if !WORDS.contains(&name) && !is_a_function(rest) {
            found.push((name.to_owned(), Vec::new()));
        }
    }
    found
}

/// Whether what stands before `rest` is applied to something: `rate(x)`, `sum by (a) (x)`.
fn is_a_function(rest: &str) -> bool {
    let rest = rest.trim_start();
    ["(", "by ", "without "].iter().any(|next| rest.starts_with(next))
}

/// The names of the labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> (Vec<String>, &str) {
    let mut labels = Vec::new();
    while let Some((label, after)) = rest.split_once('"') {
        if label.contains('}') {
            break;
        }
        let label = label.trim_start_matches([',', ' ']);
        labels.push(label.trim_end_matches(['=', '!', '~', ' ']).to_owned());
        rest = after.split_once('"').map_or("", |(_, after)| after);
    }
    (labels, rest.split_once('}').map_or("", |(_, after)| after))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const WORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

#[test]
fn a_query_names_its_metrics_and_their_labels() {
    let query = r#"sum by (a, b) (rate(x_total{outcome="r}e",c=~"$d"}[5m])) / on (e) y > 0.10"#;
    let x = ("x_total".to_owned(), vec!["outcome".to_owned(), "c".to_owned()]);
    assert_eq!(selectors(query), [x, ("y".to_owned(), vec![])]);
    assert_eq!(selectors("max(z) > 1"), [("z".to_owned(), vec![])]);
    assert_eq!(selectors("rate(z[$__rate_interval])"), [("z".to_owned(), vec![])]);
}
