//! Dead letters, for an operator at a terminal.

use http::StatusCode;
use serde_json::Value;

use crate::cli::Redrive;
use crate::client::{Answer, Client, Sites};
use crate::out;
use crate::trouble::Trouble;

/// Sends what was asked for, or shows what waits. Answers whether each one that was asked for is
/// shipped.
pub(crate) async fn run(command: &Redrive) -> Result<bool, Trouble> {
    let orders = command.orders.to_string();
    let client = Client::of_orders(Sites::one(orders.trim_end_matches('/')));
    if let Some(id) = &command.id {
        return send(&client, command, id).await;
    }
    let letters = all(&client).await?;
    if !command.all {
        show(&letters);
        return Ok(true);
    }
    if letters.is_empty() {
        out::line("no dead letters");
    }
    let mut all_shipped = true;
    for letter in &letters {
        all_shipped &= send(&client, command, word(letter, "id")).await?;
    }
    Ok(all_shipped)
}

/// Every letter that somebody has to look at.
async fn all(client: &Client) -> Result<Vec<Value>, Trouble> {
    let (mut letters, mut after) = (Vec::new(), None);
    loop {
        let page = client.letters_after(after.as_deref()).await?;
        if page.status != StatusCode::OK {
            let told = told(&page);
            return Err(Trouble::new(format!("the dead letters cannot be listed: {told}")));
        }
        letters.extend(page.body["letters"].as_array().into_iter().flatten().cloned());
        after = page.body["next"].as_str().map(str::to_owned);
        if after.is_none() || letters.len() >= LETTERS_MAX {
            return Ok(letters);
        }
    }
}

fn show(letters: &[Value]) {
    if letters.is_empty() {
        out::line("no dead letters");
        return;
    }
    for letter in letters {
        let [id, order, cause] = ["id", "order_id", "cause"].map(|field| word(letter, field));
        let (sends, redrives) = (&letter["attempts"], &letter["redrives"]);
        out::line(format!("{id}  order {order}"));
        out::line(format!("    {cause} after {sends} sends, redriven {redrives} times"));
        out::line(format!("    {}", word(letter, "last_failure")));
    }
    out::line("send one with `redrive ID`, all with `redrive --all`");
}

async fn send(client: &Client, command: &Redrive, id: &str) -> Result<bool, Trouble> {
    let answer = client.redrive_by(&command.by, &command.why, id).await?;
    let (shipped, said) = outcome(&answer);
    if shipped {
        out::line(format!("{id}  {said}"));
    } else {
        eprintln!("{id}  {said}");
    }
    Ok(shipped)
}

/// Whether it is shipped now, and what to say about it.
fn outcome(answer: &Answer) -> (bool, String) {
    let kind = word(&answer.body, "type");
    match answer.status {
        StatusCode::OK if answer.body["outcome"] == "shipped" => (true, "shipped".to_owned()),
        StatusCode::OK => {
            let (failure, wait) = (word(&answer.body, "last_failure"), &answer.body["wait_ms"]);
            (false, format!("failed again: {failure}; it may be sent again in {wait} ms"))
        }
        StatusCode::NOT_FOUND => {
            (false, "there is no such letter; `redrive` without an id shows those that wait".into())
        }
        StatusCode::CONFLICT if kind.ends_with("/letter-shipped") => {
            (false, "the order was shipped already; there is nothing to do".to_owned())
        }
        _ => (false, format!("not sent: {}", told(answer))),
    }
}

/// What a refusal says of itself.
fn told(answer: &Answer) -> String {
    let (title, detail) = (word(&answer.body, "title"), word(&answer.body, "detail"));
    let later = answer.headers.get("retry-after").and_then(|after| after.to_str().ok());
    let later = later.map(|after| format!("; try again in {after} s")).unwrap_or_default();
    match (title, detail) {
        ("", "") => format!("{}{later}", answer.status),
        (title, "") => format!("{title}{later}"),
        (title, detail) => format!("{title}: {detail}{later}"),
    }
}

fn word<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap_or_default()
}

/// More than anybody reads, or sends by hand.
const LETTERS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use serde_json::json;

    #[test]
    fn each_answer_is_told_with_what_to_do_next() {
        for (status, body, shipped, said) in [
            (200, json!({"outcome": "shipped"}), true, "shipped"),
            (
                200,
                json!({"outcome": "stored", "last_failure": "503", "wait_ms": 40}),
                false,
                "in 40 ms",
            ),
            (404, json!({}), false, "no such letter"),
            (409, json!({"type": "/problems/letter-shipped"}), false, "shipped already"),
            (
                409,
                json!({"title": "the letter is not redriven", "detail": "too early"}),
                false,
                "too early",
            ),
            (503, Value::Null, false, "503"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let told = outcome(&Answer { status, headers: HeaderMap::new(), body });
            assert_eq!(told.0, shipped, "{told:?}");
            assert!(told.1.contains(said), "{told:?}");
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, "3".parse().unwrap())]);
        let body = json!({"title": "not redriven"});
        let answer = Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, body };
        assert_eq!(told(&answer), "not redriven; try again in 3 s");
    }
}
