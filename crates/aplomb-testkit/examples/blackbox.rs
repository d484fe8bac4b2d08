//! The suite over a URL, for a server that somebody else wrote: it prints the clauses that are broken.
//!
//! ```sh
//! cargo run -p aplomb-testkit --features blackbox --example blackbox -- \
//!     http://127.0.0.1:8000/orders content-type=application/json
//! ```
//!
//! Behind the URL of a keyed POST stand the headers that every request needs. Exit code 1 says that
//! a clause is broken.

use std::process::ExitCode;

use aplomb_testkit::blackbox::BlackBox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(url) = words.next() else {
        eprintln!("give the URL of a keyed POST, and the headers that it needs as name=value");
        return ExitCode::from(2);
    };
    let headers: Vec<String> = words.collect();
    let server = headers.iter().filter_map(|header| header.split_once('='));
    let server =
        server.fold(BlackBox::new(&url), |server, (name, value)| server.header(name, value));
    let findings = server.findings().await;
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} clauses broken", findings.len());
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
