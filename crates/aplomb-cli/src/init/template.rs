use std::fmt::Write;

use super::answers::Answers;

/// The policy file that these answers make, with comments.
///
/// Names and numbers that would break out of their place are refused here; all else is for the
/// reader of policy files to say.
pub(crate) fn render(answers: &Answers) -> Result<String, String> {
    let name = |flag: &str| label(flag, answers.get(flag).unwrap_or_default());
    let (dependency, operation) = (name("dependency")?, name("operation")?);
    let mut page = String::from(HEAD);
    service(&mut page, answers)?;
    let _ = writeln!(page, "\n[dependency.{dependency}]");
    shared(&mut page, answers)?;
    let _ = writeln!(page, "\n[dependency.{dependency}.operation.{operation}]");
    decided(&mut page, answers)?;
    Ok(page)
}

fn service(page: &mut String, answers: &Answers) -> Result<(), String> {
    line(page, &text("name", answers.get("service")), "owns the retries it makes");
    let fleet = number("fleet", "fleet", answers)?;
    line(page, &fleet, "processes; the lint multiplies by it");
    let calls = number("calls_per_second", "calls-per-second", answers)?;
    line(page, &calls, "of all processes together");
    Ok(())
}

fn shared(page: &mut String, answers: &Answers) -> Result<(), String> {
    line(page, &text("authority", answers.get("authority")), "");
    if answers.retries() {
        let ratio = number("ratio", "budget-ratio", answers)?;
        line(page, &format!("budget = {{ {ratio} }}"), "earned by each call that succeeds at once");
    }
    let capacity = number("capacity_per_second", "capacity-per-second", answers)?;
    line(page, &capacity, "attempts that it can serve");
    Ok(())
}

/// The operation: each of the six answers under its question.
fn decided(page: &mut String, answers: &Answers) -> Result<(), String> {
    line(page, &text("class", answers.get("class")), "");
    line(page, &text("match", answers.get("match")), "");
    page.push_str("# Is the failure transient?\n");
    line(page, &text("transient", answers.get("transient")), "");
    page.push_str("# Is the operation safe to repeat?\n");
    match answers.get("key-from") {
        Some(from) => {
            let (from, kept) = (text("from", Some(from)), text("kept", answers.get("key-kept")));
            line(page, &format!("key = {{ {from}, {kept} }}"), "kept longer than it is used");
        }
        None => line(page, &text("repeat", answers.get("repeat")), ""),
    }
    page.push_str("# Who owns the retry?\n");
    line(page, &text("owner", answers.get("owner")), "and nobody else");
    page.push_str("# What is the policy?\n");
    line(page, &number("attempts", "attempts", answers)?, "the first send included");
    line(page, &text("attempt_timeout", answers.get("attempt-timeout")), "");
    line(page, &text("total", answers.get("total")), "");
    if answers.retries() {
        let parts = [("jitter", "jitter"), ("base", "backoff-base"), ("cap", "backoff-cap")];
        let parts = parts.map(|(key, flag)| text(key, answers.get(flag)));
        line(page, &format!("backoff = {{ {} }}", parts.join(", ")), "");
    }
    page.push_str("# What happens when retries fail?\n");
    line(page, &text("when_exhausted", answers.get("when-exhausted")), "");
    page.push_str("# How is it observed?\n");
    line(page, &format!("observe = {{ {} }}", text("alert", answers.get("alert"))), "");
    line(page, "mode = \"enforce\"", "or \"observe\": decide and count, do nothing");
    Ok(())
}

/// One line with its comment; none where nothing was answered.
fn line(page: &mut String, entry: &str, comment: &str) {
    let _ = match (entry, comment) {
        ("", _) => Ok(()),
        (_, "") => writeln!(page, "{entry}"),
        _ => writeln!(page, "{entry:<31} # {comment}"),
    };
}

/// `key = "value"`; nothing where nothing was answered.
fn text(key: &str, value: Option<&str>) -> String {
    // What JSON escapes, TOML reads.
    value.map(|value| format!("{key} = {}", serde_json::Value::from(value))).unwrap_or_default()
}

fn number(key: &str, flag: &str, answers: &Answers) -> Result<String, String> {
    let Some(written) = answers.get(flag) else { return Ok(String::new()) };
    match written.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(format!("{key} = {written}")),
        _ => Err(format!("--{flag} cannot be `{written}`: give a number")),
    }
}

/// A name that can stand in the head of a table.
fn label<'a>(flag: &str, name: &'a str) -> Result<&'a str, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(name);
    }
    Err(format!("--{flag} cannot be `{name}`: use a-z, A-Z, 0-9, `-` and `_`"))
}

const HEAD: &str = "\
# What this service may do when a call fails. `aplomb lint` checks it, `aplomb lint --print` shows
# each operation on a page.
version = 1

[service]
";
