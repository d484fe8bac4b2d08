//! Prints how many calls two threads make through one breaker, against one thread.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use aplomb_bench::sheet::{Limit, Row, median, share};
use aplomb_bench::{Calls, Driver, SHARED};
use aplomb_core::time;

fn main() {
    let mut took: Vec<_> = SHARED.iter().map(|_| (Vec::new(), Vec::new())).collect();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for (shared, (alone, together)) in SHARED.iter().zip(&mut took) {
            alone.push(rate(shared.make, 1));
            together.push(rate(shared.make, 2));
        }
    }
    println!("breaker\tthreads\tone alone, calls a second\tall");
    for (shared, (alone, together)) in SHARED.iter().zip(&took) {
        let cells = [alone, together].map(|rates| format!("{:.0}", median(rates)));
        let [alone_rate, together_rate] = cells;
        let row = Row::new([shared.name.to_owned(), "2".to_owned(), alone_rate, together_rate]);
        let limit = shared.is_ours.then(|| Limit::least(1.4).goal(1.8));
        println!("{}", row.beside(share(together, alone), "one thread", limit));
    }
}

/// Calls a second of so many threads together, each with a clone of one service.
fn rate(make: fn(&Driver) -> Vec<Calls>, threads: usize) -> f64 {
    let driver = Driver::new();
    let calls = make(&driver);
    let start = Barrier::new(threads);
    let rates: Vec<f64> = thread::scope(|scope| {
        let work = calls.into_iter().take(threads).map(|mut calls| {
            let start = &start;
            scope.spawn(move || {
                let driver = Driver::new();
                calls(&driver, CHUNK);
                start.wait();
                let begun = time::now();
                let mut made = 0_u32;
                while begun.elapsed() < TIME {
                    calls(&driver, CHUNK);
                    made += 1;
                }
                let made = f64::from(made) * f64::from(u32::try_from(CHUNK).unwrap_or(u32::MAX));
                made / begun.elapsed().as_secs_f64()
            })
        });
        let work: Vec<_> = work.collect();
        work.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    rates.iter().sum()
}

const ROUNDS: u32 = 15;
const TIME: Duration = Duration::from_millis(200);
const CHUNK: u64 = 500;
