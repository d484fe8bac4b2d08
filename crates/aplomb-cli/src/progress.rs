use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use aplomb_lab::{Control, Experiment, Report};

/// Runs an experiment; a person who waits for more than two seconds sees how far it is.
pub(crate) fn follow(experiment: Experiment, threads: usize, control: &Control) -> Report {
    let length = experiment.length();
    let (done, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let running = scope.spawn(move || {
            // Dropped when the work ends, however it ends: that is the signal.
            let _done = done;
            experiment.run(threads, control)
        });
        let mut ticks = 0;
        while wait.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            ticks += 1;
            if ticks >= PATIENCE && stderr().is_terminal() {
                draw(control.reached(), length);
            }
        }
        if ticks >= PATIENCE && stderr().is_terminal() {
            eprint!("\r{:width$}\r", "", width = WIDTH + 8);
        }
        match running.join() {
            Ok(report) => report,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn draw(reached: u64, length: u64) {
    let percent = u128::from(reached) * 100 / u128::from(length.max(1));
    let percent = usize::try_from(percent.min(100)).unwrap_or(100);
    let filled = percent * WIDTH / 100;
    eprint!("\r[{:·<WIDTH$}] {percent:>3} %", "█".repeat(filled));
    // A bar that cannot be drawn is no reason to stop.
    let _ = stderr().flush();
}

const TICK: Duration = Duration::from_millis(100);
/// Two seconds.
const PATIENCE: u32 = 20;
const WIDTH: usize = 40;
