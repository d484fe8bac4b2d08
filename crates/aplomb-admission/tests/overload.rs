//! What an overloaded server gets done, and how much its clients send it, with admission and
//! without. `cargo test -p aplomb-admission --test overload -- --nocapture` prints the figures.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod world;

use std::time::Duration;

use aplomb_admission::Terms;
use aplomb_core::{Attempts, OperationClass};
use aplomb_retry::Rules;
use world::{Report, Setup, run};

/// A server that can do 1,000 calls a second and is asked for 3,000.
fn three_times_too_much() -> Setup {
    let mut rules = Rules::default();
    rules.attempts = Attempts::ONE;
    Setup {
        clients: 100,
        calls_per_second: 3_000.0,
        workers: 100,
        service: Duration::from_millis(100),
        admission: Some(Terms::DEFAULT),
        rules,
        budgets: false,
        attempt_timeout: Duration::from_millis(500),
        reservations: 0,
        rest: OperationClass::Read,
        seconds: 30,
    }
}

fn without(setup: Setup) -> Setup {
    Setup { admission: None, ..setup }
}

/// Ten thousand clients with aplomb's rules: three attempts, full jitter, three seconds in all.
fn ten_thousand_clients() -> Setup {
    let rules = Rules::default();
    Setup { clients: 10_000, rules, budgets: true, ..three_times_too_much() }
}

fn print(what: &str, report: &Report) {
    let Report { goodput, most_waiting, .. } = report;
    let sends = report.sends_per_call();
    println!("{what:<52} {sends:>6.3} {goodput:>9.3} {most_waiting:>9}");
}

#[test]
fn a_server_with_three_times_too_much_to_do_keeps_doing_what_it_can() {
    println!("{:<52} {:>6} {:>9} {:>9}", "", "sends", "goodput", "waiting");
    let with = run(three_times_too_much(), 7);
    print("no retries, with admission", &with);
    let without = run(without(three_times_too_much()), 7);
    print("no retries, without", &without);

    assert!(with.goodput >= 0.8, "{with:?}");
    assert!(without.goodput < 0.05, "{without:?}");
    assert!(with.most_waiting <= Terms::DEFAULT.waiters_max);
    assert!(without.most_waiting > 10_000, "a queue without bound: {without:?}");
}

#[test]
fn ten_thousand_clients_of_an_overloaded_server_send_little_more_than_their_calls() {
    println!("{:<52} {:>6} {:>9} {:>9}", "", "sends", "goodput", "waiting");
    let budgets = ten_thousand_clients();
    let naive = Setup { budgets: false, ..budgets };
    for (clients, setup) in [("budgets", budgets), ("three attempts, no budget", naive)] {
        let with = run(setup, 7);
        print(&format!("10,000 clients, {clients}, with admission"), &with);
        let without = run(without(setup), 7);
        print(&format!("10,000 clients, {clients}, without"), &without);

        assert!(with.sends_per_call() <= 1.05, "{clients}: {with:?}");
        assert!(with.goodput >= 0.8, "{clients}: {with:?}");
        assert!(without.sends_per_call() > 1.05, "{clients}: {without:?}");
        assert!(without.goodput < 0.05, "{clients}: {without:?}");
    }
}

#[test]
fn reservations_outlive_analytics() {
    let setup =
        Setup { reservations: 20, rest: OperationClass::BestEffort, ..three_times_too_much() };
    let alike = Setup { rest: OperationClass::KeyedWrite, ..setup };
    let alone = Setup { reservations: 100, calls_per_second: 600.0, ..setup };
    let [mixed, alike, alone] = [setup, alike, alone].map(|setup| run(setup, 7));
    println!(
        "600 reservations/s and 2,400 others/s on a server for 1,000: {:.4} of the reservations are \
         served beside analytics, {:.4} where all are alike, {:.4} where they are alone",
        mixed.reservations, alike.reservations, alone.reservations
    );
    // Some take longer than their callers wait, even alone.
    assert!(mixed.reservations >= alone.reservations - 0.01, "{mixed:?}");
    assert!(alike.reservations < 0.5, "{alike:?}");
    assert!(mixed.goodput >= 0.8, "what they leave is used: {mixed:?}");
}
