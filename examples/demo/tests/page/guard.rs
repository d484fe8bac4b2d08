//! Who may turn the knobs, and with what.

use std::io::{BufRead, Read};

use crate::support::Demo;

#[test]
fn nothing_but_its_own_files_may_run_in_the_page() {
    let demo = Demo::start();
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/charts.js", "text/javascript"),
        ("/uplot.js", "text/javascript"),
        ("/uplot.css", "text/css"),
    ] {
        let (head, body) =
            demo.raw(&format!("GET {path} HTTP/1.1\nHost: {{host}}\nConnection: close\n\n"));
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        assert!(head.contains("default-src 'none'; script-src 'self'"), "{path}: {head}");
        assert!(!head.contains("unsafe"), "{path}: {head}");
        assert!(!body.contains("<script>") && !body.contains(" style="), "{path}");
    }
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_page_from_elsewhere_turns_no_knob_and_reads_nothing() {
    let demo = Demo::start();
    let knobs = "PUT /knobs HTTP/1.1\nConnection: close\nContent-Length: 10\n";
    for (request, names) in [
        (knobs, "Host: shop.example\n"),
        (knobs, "Host: {host}\nOrigin: http://shop.example\n"),
        ("POST /stories/1 HTTP/1.1\nConnection: close\n", "Host: {host}\nOrigin: null\n"),
        ("GET /events HTTP/1.1\nConnection: close\n", "Host: shop.example\n"),
    ] {
        let body = if request == knobs { "{\"rate\":1}" } else { "" };
        let (head, _) = demo.raw(&format!("{request}{names}\n{body}"));
        assert!(head.starts_with("HTTP/1.1 403"), "{request}{names}: {head}");
    }
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn what_cannot_be_set_is_refused_with_its_range() {
    let demo = Demo::start();
    // Before that, knobs cannot be turned yet.
    let events = "GET /events HTTP/1.1\nHost: {host}\nConnection: close\n\n";
    let mut browser = demo.visited();
    browser.wait_for("points.length > 0").unwrap();
    for (method, path, body, status, says) in [
        ("PUT", "/knobs", "{\"rate\":51}", "400", "from 0 to 50"),
        ("PUT", "/knobs", "{\"chaos\":{\"error_rate\":2}}", "400", "a number from 0 to 1"),
        ("PUT", "/knobs", "{\"noise\":1}", "400", "unknown field"),
        ("POST", "/stories/9", "", "404", "no such story"),
        ("POST", "/stories/one", "", "404", "no such story"),
        ("POST", "/stories/7", "", "202", "clicks again"),
        ("POST", "/stories/1", "", "409", "ends by itself"),
        ("PUT", "/knobs", "{\"rate\":1}", "409", "ends by itself"),
    ] {
        let length = body.len();
        let (head, said) = demo.raw(&format!(
            "{method} {path} HTTP/1.1\nHost: {{host}}\nConnection: close\nContent-Length: {length}\n\n{body}"
        ));
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{method} {path} {body}: {head}");
        assert!(said.contains(says), "{method} {path} {body}: {said}");
    }
    // A stop does not wait for who watches, nor for a story that plays.
    let mut watched = demo.send(events);
    let mut lines = watched.by_ref().lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("text/event-stream")));
    assert!(lines.any(|line| line.contains("\"points\"")));
    assert_eq!(demo.stop(), Some(0));
    lines.for_each(drop);
}
