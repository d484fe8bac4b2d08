//! What is asked, in which order, with which default.

use aplomb::policy::{Question, Waits, WhenExhausted, time_in_words};
use aplomb_core::OperationClass;

use super::answers::Answers;

/// One thing to ask.
#[derive(Clone, Copy)]
pub(crate) struct Topic {
    pub(crate) flag: &'static str,
    /// Which of the six questions it belongs to.
    pub(crate) question: Option<Question>,
    pub(crate) asks: &'static str,
    pub(crate) default: Default,
    pub(crate) applies: fn(&Answers) -> bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Default {
    /// It must be answered.
    None,
    /// Nothing is said about it.
    Empty,
    /// This, told by the answers so far.
    Of(fn(&Answers) -> String),
}

pub(crate) const TOPICS: &[Topic] = &[
    about("service", "Who makes the calls (the service's name)?", Default::None),
    about("fleet", "How many processes of it run?", Default::Of(|_| "1".into())),
    about("calls-per-second", "Calls a second, of all of them (empty: unknown)?", Default::Empty),
    about("dependency", "Whom does it call (the dependency's name)?", Default::None),
    about("authority", "At which host:port (empty: found by name)?", Default::Empty),
    about(
        "capacity-per-second",
        "Attempts a second it can serve (empty: unknown)?",
        Default::Empty,
    ),
    about("operation", "What does it ask for (the operation's name)?", Default::None),
    about("match", "Which requests, as \"POST /orders/{id}\" (empty: named)?", Default::Empty),
    about(
        "class",
        "Which class (read, keyed-write, confirm, deferred, best-effort)?",
        Default::Of(|_| "read".into()),
    ),
    Topic {
        flag: "transient",
        question: Some(Question::Transient),
        asks: "Which failures pass by themselves (standard, grpc, unsent)?",
        default: Default::Of(|answers| answers.preset().transient().as_str().into()),
        applies: always,
    },
    Topic {
        flag: "key-from",
        question: Some(Question::Repeat),
        asks: "What is its idempotency key made from, as \"order line\" (empty: no key)?",
        default: Default::Empty,
        applies: always,
    },
    Topic {
        flag: "key-kept",
        question: Some(Question::Repeat),
        asks: "For how long does the dependency remember it?",
        default: Default::Of(kept),
        applies: |answers| answers.get("key-from").is_some(),
    },
    Topic {
        flag: "repeat",
        question: Some(Question::Repeat),
        asks: "What makes it safe then (by-method, always, never)?",
        default: Default::Of(|_| "by-method".into()),
        applies: |answers| answers.get("key-from").is_none(),
    },
    Topic {
        flag: "owner",
        question: Some(Question::Owner),
        asks: "Who retries it, and nobody else?",
        default: Default::Of(|answers| {
            let me = answers.get("service").unwrap_or_default();
            answers.preset().owner().name(me).to_owned()
        }),
        applies: always,
    },
    numbers("attempts", "How many sends in all?", attempts, always),
    numbers("attempt-timeout", "How long may one take?", attempt_timeout, always),
    numbers("total", "How long may the call take?", total, always),
    numbers(
        "jitter",
        "How are waits spread (full, equal, decorrelated)?",
        |_| "full".into(),
        Answers::retries,
    ),
    numbers("backoff-base", "The longest first wait?", |a| wait(a, Waits::base), Answers::retries),
    numbers("backoff-cap", "The longest wait of all?", |a| wait(a, Waits::cap), Answers::retries),
    numbers(
        "budget-ratio",
        "Which share of a retry does a success earn?",
        |_| "0.2".into(),
        Answers::retries,
    ),
    Topic {
        flag: "when-exhausted",
        question: Some(Question::Exhausted),
        asks: "What then (fail, pending, last-good, degraded, dead-letter, drop)?",
        default: Default::Of(then),
        applies: always,
    },
    Topic {
        flag: "alert",
        question: Some(Question::Observed),
        asks: "Which metric does an alert watch?",
        default: Default::Of(|answers| {
            let preset = answers.preset();
            preset.alerts().first().map(ToString::to_string).unwrap_or_default()
        }),
        applies: always,
    },
];

const fn about(flag: &'static str, asks: &'static str, default: Default) -> Topic {
    Topic { flag, question: None, asks, default, applies: always }
}

const fn numbers(
    flag: &'static str,
    asks: &'static str,
    default: fn(&Answers) -> String,
    applies: fn(&Answers) -> bool,
) -> Topic {
    let (question, default) = (Some(Question::Policy), Default::Of(default));
    Topic { flag, question, asks, default, applies }
}

fn always(_: &Answers) -> bool {
    true
}

/// As long as the preset's last use of it, and a day to spare for what is deferred.
fn kept(answers: &Answers) -> String {
    let is_deferred = answers.preset().class() == OperationClass::Deferred;
    if is_deferred { "9d".into() } else { "24h".into() }
}

/// One, where nothing makes a second one safe or somebody else owns them.
fn attempts(answers: &Answers) -> String {
    let is_post = answers.get("match").is_some_and(|request| {
        let method = request.split(' ').next().unwrap_or_default();
        matches!(method, "POST" | "PATCH")
    });
    let is_unsafe = match answers.get("repeat") {
        Some("never") => true,
        Some("always") => false,
        _ => is_post && answers.get("key-from").is_none(),
    };
    let is_elsewhere = answers.get("owner") != answers.get("service");
    if is_unsafe || is_elsewhere {
        return "1".into();
    }
    answers.preset().attempts().get().to_string()
}

fn attempt_timeout(answers: &Answers) -> String {
    time_in_words(answers.preset().attempt_timeout())
}

fn total(answers: &Answers) -> String {
    time_in_words(answers.preset().total())
}

fn wait(answers: &Answers, part: fn(&Waits) -> std::time::Duration) -> String {
    let waits = answers.preset().waits();
    waits.map_or_else(|| "50ms".into(), |waits| time_in_words(part(&waits)))
}

/// The preset's answer, unless it needs the key that there is none of.
fn then(answers: &Answers) -> String {
    let preset = answers.preset();
    let then = preset.when_exhausted();
    let needs_key =
        matches!(then, WhenExhausted::Pending { .. } | WhenExhausted::DeadLetter { .. });
    let is_keyed = answers.get("key-from").is_some();
    if needs_key && !is_keyed { "fail".into() } else { then.as_str().into() }
}
