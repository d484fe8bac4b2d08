//! One module for each page that has Rust in it, so that a failure names its page.

macro_rules! pages {
    ($($name:ident = $path:literal)*) => {
        $(
            #[doc = include_str!(concat!("../../../docs/book/src/", $path))]
            mod $name {}
        )*
    };
}

pages! {
    one_retry = "start/one-retry.md"
    quick_starts = "start/quick-starts.md"
    six_questions = "start/six-questions.md"
    retry = "patterns/retry.md"
    backoff = "patterns/backoff.md"
    deadline = "patterns/deadline.md"
    circuit_breaker = "patterns/circuit-breaker.md"
    admission = "patterns/admission.md"
    fallback = "patterns/fallback.md"
    idempotency = "patterns/idempotency.md"
    dead_letter = "patterns/dead-letter.md"
    chaos = "patterns/chaos.md"
    telemetry = "patterns/telemetry.md"
    order = "compose/order.md"
    classes = "compose/classes.md"
    ownership = "compose/ownership.md"
    for_real = "compose/idempotency.md"
    degradation = "compose/degradation.md"
    privacy = "compose/privacy.md"
    rolling_out = "operate/rolling-out.md"
    deploys = "operate/deploys.md"
    runbook = "operate/runbook.md"
    from_tower = "moving/tower.md"
    from_reqwest_retry = "moving/reqwest-retry.md"
    from_tower_resilience = "moving/tower-resilience.md"
    from_seatbelt = "moving/seatbelt.md"
}
