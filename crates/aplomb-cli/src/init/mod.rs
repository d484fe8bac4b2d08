//! Asks what a policy must answer, and writes it down.

mod answers;
mod ask;
mod template;
mod topics;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write, stderr, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aplomb::policy::{PolicyFile, human, lint};

use crate::failure::Failure;
use crate::output::print;
use answers::Answers;

/// Every answer is a question first, unless its flag gives it. Questions are asked on standard
/// error and answered on standard input; an empty line takes what stands in brackets.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The policy file to write
    #[arg(default_value = "aplomb.toml")]
    file: PathBuf,
    /// Replaces the file if it is there
    #[arg(long)]
    force: bool,
    /// Asks nothing: what no flag answers is the default, which what has none refuses
    #[arg(long)]
    defaults: bool,
    /// Who makes the calls: the owner of its retries
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// How many processes of it run
    #[arg(long, value_name = "N")]
    fleet: Option<String>,
    /// How many calls a second they make, all together
    #[arg(long, value_name = "N")]
    calls_per_second: Option<String>,
    /// Whom it calls
    #[arg(long, value_name = "NAME")]
    dependency: Option<String>,
    /// Host and port of the dependency
    #[arg(long, value_name = "HOST:PORT")]
    authority: Option<String>,
    /// How many attempts a second the dependency can serve
    #[arg(long, value_name = "N")]
    capacity_per_second: Option<String>,
    /// What it asks the dependency to do
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// The requests that mean it, such as "POST /orders/{id}"
    #[arg(long, value_name = "REQUEST")]
    r#match: Option<String>,
    /// read, keyed-write, confirm, deferred or best-effort
    #[arg(long)]
    class: Option<String>,
    /// 1: which failures pass by themselves (standard, grpc, unsent)
    #[arg(long, value_name = "WHICH")]
    transient: Option<String>,
    /// 2: what the idempotency key is made from, such as "order line"; "" for none
    #[arg(long, value_name = "WHAT")]
    key_from: Option<String>,
    /// 2: for how long the dependency remembers the key
    #[arg(long, value_name = "TIME")]
    key_kept: Option<String>,
    /// 2: without a key, what makes it safe to repeat (by-method, always, never)
    #[arg(long, value_name = "HOW")]
    repeat: Option<String>,
    /// 3: who retries it
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// 4: how many sends in all
    #[arg(long, value_name = "N")]
    attempts: Option<String>,
    /// 4: how long one may take
    #[arg(long, value_name = "TIME")]
    attempt_timeout: Option<String>,
    /// 4: how long the call may take
    #[arg(long, value_name = "TIME")]
    total: Option<String>,
    /// 4: how chance spreads the waits (full, equal, decorrelated)
    #[arg(long, value_name = "HOW")]
    jitter: Option<String>,
    /// 4: the longest first wait
    #[arg(long, value_name = "TIME")]
    backoff_base: Option<String>,
    /// 4: the longest wait of all
    #[arg(long, value_name = "TIME")]
    backoff_cap: Option<String>,
    /// 4: the share of a retry that a success earns
    #[arg(long, value_name = "SHARE")]
    budget_ratio: Option<String>,
    /// 5: fail, pending, last-good, degraded, dead-letter or drop
    #[arg(long, value_name = "WHAT")]
    when_exhausted: Option<String>,
    /// 6: the metric that an alert watches
    #[arg(long, value_name = "METRIC")]
    alert: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if !args.force && fs::symlink_metadata(&args.file).is_ok() {
        return Err(taken(&args.file));
    }
    let mut answers = given(args);
    let mut lines = stdin().lines();
    loop {
        if args.defaults {
            ask::take_defaults(&mut answers)?;
        } else {
            ask::ask(&mut answers, &mut lines, &mut stderr())?;
        }
        let told = match draft(args, &answers) {
            Ok(text) => {
                write(&args.file, &text, args.force)?;
                print(&format!("wrote {}, which lints clean\n", args.file.display()))?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(told) => told,
        };
        if args.defaults || !ask::is_terminal() {
            return Err(Failure::Usage(format!("nothing was written\n{told}")));
        }
        eprintln!("\n{told}\nOnce more; what you said stands in brackets.\n");
        answers.ask_again();
    }
}

/// The policy file, if it is one and the lint finds nothing; else what is wrong.
fn draft(args: &Args, answers: &Answers) -> Result<String, String> {
    let text = template::render(answers)?;
    let name = args.file.to_string_lossy();
    let file = PolicyFile::parse(&*name, &text).map_err(|errors| errors.to_string())?;
    let findings = lint(&file);
    if findings.is_empty() { Ok(text) } else { Err(human(&findings)) }
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    // Made new by the system, so that a file that came meanwhile is not written over.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).create_new(!force);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => taken(path),
        _ => Failure::file(path, "write", &error),
    })
}

fn taken(path: &Path) -> Failure {
    Failure::usage(format!("{} is there already; --force replaces it", path.display()))
}

fn given(args: &Args) -> Answers {
    let mut answers = Answers::default();
    for (flag, given) in [
        ("service", &args.service),
        ("fleet", &args.fleet),
        ("calls-per-second", &args.calls_per_second),
        ("dependency", &args.dependency),
        ("authority", &args.authority),
        ("capacity-per-second", &args.capacity_per_second),
        ("operation", &args.operation),
        ("match", &args.r#match),
        ("class", &args.class),
        ("transient", &args.transient),
        ("key-from", &args.key_from),
        ("key-kept", &args.key_kept),
        ("repeat", &args.repeat),
        ("owner", &args.owner),
        ("attempts", &args.attempts),
        ("attempt-timeout", &args.attempt_timeout),
        ("total", &args.total),
        ("jitter", &args.jitter),
        ("backoff-base", &args.backoff_base),
        ("backoff-cap", &args.backoff_cap),
        ("budget-ratio", &args.budget_ratio),
        ("when-exhausted", &args.when_exhausted),
        ("alert", &args.alert),
    ] {
        if let Some(given) = given {
            answers.give(flag, given);
        }
    }
    answers
}
