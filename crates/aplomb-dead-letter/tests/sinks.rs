//! Both sinks of this crate keep the contract, each within its bounds.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod suite;

use std::path::Path;

use aplomb_dead_letter::{JsonLines, MemorySink, Sink, Stored};
use futures_util::future::join_all;

use suite::{LONG, all, claim, discard, letter, settle, stored};

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite::check(|| async { MemorySink::new() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_keep_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    let make = || {
        made.set(made.get() + 1);
        let path = directory.path().join(format!("{}.jsonl", made.get()));
        async move { JsonLines::open(path).await.unwrap() }
    };
    suite::check(make).await;
}

#[tokio::test]
async fn a_full_sink_refuses_and_gives_up_nothing_that_is_dead() {
    let sink = MemorySink::bounded(2, 1 << 20);
    let first = stored(&sink, "a").await;
    stored(&sink, "b").await;
    let refused = sink.store(&letter("c")).await.unwrap_err();
    assert!(refused.is_full() && !refused.is_uncertain());
    assert_eq!(sink.store(&letter("a")).await.unwrap(), Stored::There, "it needs no room");
    assert_eq!(sink.len(), 2);

    // What has ended makes room.
    sink.step(first, &discard()).await.unwrap();
    assert_eq!(sink.store(&letter("c")).await.unwrap(), Stored::New);
    assert_eq!(sink.get(first).await.unwrap(), None);
}

#[tokio::test]
async fn a_letter_of_more_bytes_than_are_left_is_refused() {
    let sink = MemorySink::bounded(100, 2_000);
    stored(&sink, "a").await;
    let mut long = letter("b");
    long.request.body = vec![0; 2_000].into();
    assert!(sink.store(&long).await.unwrap_err().is_full());
    stored(&sink, "c").await;
}

#[tokio::test]
async fn letters_states_fences_and_audit_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letters.jsonl");
    let (before, told, fence) = {
        let sink = JsonLines::open(&path).await.unwrap();
        let (a, b) = (stored(&sink, "a").await, stored(&sink, "b").await);
        let fence = sink.step(a, &claim(LONG)).await.unwrap().fence;
        sink.step(b, &discard()).await.unwrap();
        assert_eq!(sink.sweep(std::time::Duration::ZERO, 1).await.unwrap(), 1);
        stored(&sink, "c").await;
        (all(&sink).await, sink.audit(None, 100).await.unwrap(), fence)
    };
    let sink = JsonLines::open(&path).await.unwrap();
    assert_eq!(all(&sink).await, before);
    assert_eq!(sink.audit(None, 100).await.unwrap(), told);
    let c = letter("c").id;
    assert!(sink.step(c, &claim(LONG)).await.unwrap().fence > fence);
}

#[tokio::test]
async fn a_last_line_that_was_torn_is_cut_off_and_the_next_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letters.jsonl");
    let sink = JsonLines::open(&path).await.unwrap();
    stored(&sink, "a").await;
    stored(&sink, "b").await;
    drop(sink);
    let whole = std::fs::read(&path).unwrap();
    let first =
        whole.len() - whole.iter().rev().skip(1).position(|&byte| byte == b'\n').unwrap() - 1;
    // Wherever the power went: in the last line, before its end, between the lines.
    for cut in first..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let sink = JsonLines::open(&path).await.unwrap();
        assert_eq!(all(&sink).await.len(), 1, "cut at {cut} of {}", whole.len());
        stored(&sink, "c").await;
        drop(sink);
        let sink = JsonLines::open(&path).await.unwrap();
        assert_eq!(all(&sink).await.len(), 2, "after a line that was torn at {cut}");
    }
    // Its end was written, its beginning was not.
    let mut holed = whole.clone();
    holed[first + 3..first + 9].fill(0);
    std::fs::write(&path, &holed).unwrap();
    let sink = JsonLines::open(&path).await.unwrap();
    assert_eq!(all(&sink).await.len(), 1);
}

#[tokio::test]
async fn a_file_that_was_just_being_made_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letters.jsonl");
    std::fs::write(&path, br#"{"aplomb_de"#).unwrap();
    let sink = JsonLines::open(&path).await.unwrap();
    stored(&sink, "a").await;
    drop(sink);
    assert_eq!(all(&JsonLines::open(&path).await.unwrap()).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_by_line_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letters.jsonl");
    let sink = JsonLines::open(&path).await.unwrap();
    stored(&sink, "a").await;
    drop(sink);
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"put\": 7}\n{\"forget\": []}\n");
    std::fs::write(&path, &text).unwrap();
    let error = JsonLines::open(&path).await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.starts_with("line 4: "), "{why}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    std::fs::write(&path, "not ours\n").unwrap();
    assert!(JsonLines::open(&path).await.is_err());
}

#[tokio::test]
async fn a_second_writer_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letters.jsonl");
    let sink = JsonLines::open(&path).await.unwrap();
    let error = JsonLines::open(&path).await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("another process"), "{why}");
    drop(sink);
    JsonLines::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_long_history_is_shortened_when_the_file_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letters.jsonl");
    let sink = JsonLines::open(&path).await.unwrap();
    let id = stored(&sink, "a").await;
    let released = || aplomb_dead_letter::machine::Ended::Released { why: "busy".into() };
    // As a history of many rounds would read.
    let fence = sink.step(id, &claim(LONG)).await.unwrap().fence;
    sink.step(id, &settle(fence, released())).await.unwrap();
    drop(sink);
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, last) = text.trim_end().rsplit_once('\n').unwrap();
    let last = last.split_once(",\"audit\"").unwrap().0.to_owned() + "}\n";
    std::fs::write(&path, format!("{head}\n{}", last.repeat(1_100))).unwrap();
    let long = size(&path);

    let sink = JsonLines::open(&path).await.unwrap();
    assert!(size(&path) < long / 100, "{} of {long} bytes", size(&path));
    let record = sink.get(id).await.unwrap().unwrap();
    assert_eq!((record.fence, record.redrives), (fence, 0));
    assert_eq!(sink.audit(Some(id), 10).await.unwrap().len(), 1);
    assert!(sink.step(id, &claim(LONG)).await.unwrap().fence > fence);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_letters_at_once_are_whole_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letters.jsonl");
    let sink = std::sync::Arc::new(JsonLines::open(&path).await.unwrap());
    let stores = (0..50).map(|number| {
        let sink = std::sync::Arc::clone(&sink);
        tokio::spawn(async move { stored(&sink, &format!("k{number}")).await })
    });
    for store in join_all(stores).await {
        store.unwrap();
    }
    drop(sink);
    assert_eq!(all(&JsonLines::open(&path).await.unwrap()).await.len(), 50);
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}
