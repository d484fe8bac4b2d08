//! What the tables of the book are made of.

/// A table of the book, made by the lab.
pub(crate) struct Table {
    /// Where it stands, in `docs/book/src/figures`.
    pub(crate) file: &'static str,
    /// What the first column is.
    pub(crate) of: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) rows: &'static [Row],
    /// What the table's figures were made with.
    pub(crate) foot: &'static str,
}

/// One figure of one scenario.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) scenario: &'static str,
    /// The policy that the rows change, where a row has none of its own.
    pub(crate) policy: &'static str,
    pub(crate) settings: &'static [&'static str],
    pub(crate) figure: &'static str,
    pub(crate) unit: Unit,
}

pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) policy: Option<&'static str>,
    pub(crate) settings: &'static [&'static str],
}

#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Three digits after the point.
    Ratio,
    Percent,
    /// With the confidence interval; no value: never.
    Recovery,
    Seconds,
    Count,
    /// A share, as so many of a thousand.
    PerThousand,
}

const fn row(title: &'static str, settings: &'static [&'static str]) -> Row {
    Row { title, policy: None, settings }
}

const fn policy(title: &'static str, name: &'static str) -> Row {
    Row { title, policy: Some(name), settings: &[] }
}

pub(crate) const TABLES: &[Table] = &[BUDGET, BACKOFF, BREAKER, STORMS];

const BUDGET: Table = Table {
    file: "defaults-budget.md",
    of: "budget",
    columns: &[
        Column {
            title: "sends per call in 60 s of outage, 10,000 clients",
            scenario: "fleet-size",
            policy: "aplomb",
            settings: &["clients=10000"],
            figure: "amplification_during",
            unit: Unit::Ratio,
        },
        Column {
            title: "`article`: well again after",
            scenario: "article",
            policy: "aplomb",
            settings: &[],
            figure: "time_to_recover",
            unit: Unit::Recovery,
        },
        Column {
            title: "10 % independent failures, 1,000 clients: success",
            scenario: "independent-failures",
            policy: "aplomb",
            settings: &["clients=1000"],
            figure: "success_ratio",
            unit: Unit::Percent,
        },
    ],
    rows: &[
        row("**cap 10, ratio 0.2**", &[]),
        row("cap 1", &["budget_cap=1"]),
        row("cap 100", &["budget_cap=100"]),
        row("ratio 0.05", &["ratio=0.05"]),
        row("ratio 0.5", &["ratio=0.5"]),
    ],
    foot: "Three attempts, three seeds, 1,000 calls a second in all.",
};

const BACKOFF: Table = Table {
    file: "defaults-backoff.md",
    of: "schedule",
    columns: &[
        Column {
            title: "100 clients contend for one row: writes",
            scenario: "aws-jitter",
            policy: "set",
            settings: &["backoff=full", "base=50ms", "cap=5s"],
            figure: "sends",
            unit: Unit::Count,
        },
        Column {
            title: "all done after",
            scenario: "aws-jitter",
            policy: "set",
            settings: &["backoff=full", "base=50ms", "cap=5s"],
            figure: "finished",
            unit: Unit::Seconds,
        },
        Column {
            title: "10 % independent failures: p99",
            scenario: "independent-failures",
            policy: "set",
            settings: &["backoff=full", "base=50ms", "cap=5s"],
            figure: "p99",
            unit: Unit::Seconds,
        },
    ],
    rows: &[
        row("**full, 50 ms, 5 s**", &[]),
        row("no wait", &["backoff=none"]),
        row("exponential", &["backoff=exponential"]),
        row("equal", &["backoff=equal"]),
        row("decorrelated", &["backoff=decorrelated"]),
        row("full from 10 ms", &["base=10ms"]),
        row("full from 200 ms", &["base=200ms"]),
        row("full up to 1 s", &["cap=1s"]),
        row("full up to 20 s", &["cap=20s"]),
    ],
    foot: "`aws-jitter`: an attempt reads the row and writes it, 40 ms in all; it fails when somebody wrote \
           in between. Independent failures: three attempts. Three seeds.",
};

const BREAKER: Table = Table {
    file: "defaults-breaker.md",
    of: "breaker",
    columns: &[
        Column {
            title: "sends per call in 60 s of outage",
            scenario: "probe-storm",
            policy: "aplomb-breaker",
            settings: &[],
            figure: "amplification_during",
            unit: Unit::Ratio,
        },
        Column {
            title: "busiest second after it",
            scenario: "probe-storm",
            policy: "aplomb-breaker",
            settings: &[],
            figure: "peak_after",
            unit: Unit::Count,
        },
        Column {
            title: "well again after",
            scenario: "probe-storm",
            policy: "aplomb-breaker",
            settings: &[],
            figure: "time_to_recover",
            unit: Unit::Recovery,
        },
        Column {
            title: "10 % independent failures: held back, of a thousand calls",
            scenario: "independent-failures",
            policy: "aplomb-breaker",
            settings: &[],
            figure: "held_back_per_call",
            unit: Unit::PerThousand,
        },
    ],
    rows: &[
        row("**1 s doubling to 10 s**", &[]),
        row("up to 5 s", &["breaker_cap=5s"]),
        row("up to 60 s", &["breaker_cap=60s"]),
        row("from 200 ms", &["breaker_open=200ms"]),
        row("from 5 s", &["breaker_open=5s"]),
        row("no jitter", &["breaker_jitter=exponential"]),
        row("full jitter", &["breaker_jitter=full"]),
        row("5 failures in a row", &["breaker_row=5"]),
        row("20 failures in a row", &["breaker_row=20"]),
        row("of at least 5 calls", &["breaker_calls=5"]),
    ],
    foot: "`probe-storm`: 1,000 clients, a call a second each, the dependency answers errors for a \
           minute. Independent failures: 100 clients, ten calls a second each. aplomb's budget, three \
           attempts, three seeds.",
};

const STORMS: Table = Table {
    file: "why-budgets-alone.md",
    of: "policy",
    columns: &[
        Column {
            title: "`article`: sends per call",
            scenario: "article",
            policy: "none",
            settings: &[],
            figure: "amplification_during",
            unit: Unit::Ratio,
        },
        Column {
            title: "well again after",
            scenario: "article",
            policy: "none",
            settings: &[],
            figure: "time_to_recover",
            unit: Unit::Recovery,
        },
        Column {
            title: "`pause`: well again after",
            scenario: "pause",
            policy: "none",
            settings: &[],
            figure: "time_to_recover",
            unit: Unit::Recovery,
        },
        Column {
            title: "`surge`: well again after",
            scenario: "surge",
            policy: "none",
            settings: &[],
            figure: "time_to_recover",
            unit: Unit::Recovery,
        },
    ],
    rows: &[
        policy("no retries", "none"),
        policy("three attempts, full jitter", "full"),
        policy("tower's budget", "tower"),
        policy("Finagle's budget", "finagle"),
        policy("the quota of the AWS SDKs", "aws"),
        policy("gRPC's throttle", "grpc"),
        policy("fixed price, earned by success", "per-success"),
        policy("aplomb's budget", "aplomb"),
        policy("aplomb's budget and breaker", "aplomb-breaker"),
        policy("**aplomb's budget, admission on the server**", "aplomb-admission"),
    ],
    foot: "Each scenario keeps a server 80 % busy with 1,000 calls a second, and each has three \
           attempts of 500 ms. `article`: 10,000 clients, five times slower for 30 s. `pause`: 1,000 \
           clients, nothing moves for 10 s. `surge`: 1,000 clients, two and a half times as many \
           calls for 10 s. Three seeds; \"never\": not within 200 s of the fault's end in any run.",
};
