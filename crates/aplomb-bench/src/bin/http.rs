//! Prints how many calls a client makes over loopback HTTP with layers around it, beside the bare one.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aplomb_bench::http::{Exchange, clients};
use aplomb_bench::sheet::{Limit, Row, median, share};
use aplomb_core::{BoxError, time};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, BoxError>;

/// One thread: the server, a process of its own, has the other core.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some(SERVE) => serve().await,
        Some(other) => Err(format!("{other} is not understood; leave it out").into()),
        None => measure().await,
    }
}

/// Answers until it is killed; first prints where.
async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let routes = Router::new().route("/", get(|| async { ANSWER }));
    Ok(axum::serve(listener, routes).await?)
}

async fn measure() -> Result<()> {
    let server = Server::start()?;
    let url = format!("http://{}/", server.address);
    println!("client\tin flight\tcalls a second\tp50 µs\tp99 µs");
    for in_flight in [1, 32] {
        let mut clients: Vec<_> =
            clients(&url).into_iter().map(|(name, call)| Measured::new(name, call)).collect();
        for round in 0..=ROUNDS {
            eprintln!("{in_flight} in flight: round {round} of {ROUNDS}");
            for client in &mut clients {
                client.round(in_flight).await?;
            }
            // The first one opens the connections.
            if round == 0 {
                clients.iter_mut().for_each(Measured::forget);
            }
        }
        let bare = clients[0].rates.clone();
        for client in &clients {
            println!("{}", client.row(in_flight, &bare));
        }
    }
    Ok(())
}

/// A client, what was measured of it.
struct Measured {
    name: &'static str,
    call: Exchange,
    rates: Vec<f64>,
    /// Of each call, in microseconds.
    took: Vec<f64>,
}

impl Measured {
    fn new(name: &'static str, call: Exchange) -> Self {
        Self { name, call, rates: Vec::new(), took: Vec::new() }
    }

    /// Calls for a while, with so many calls in flight.
    async fn round(&mut self, in_flight: usize) -> Result<()> {
        let start = time::now();
        let mut callers = JoinSet::new();
        for _ in 0..in_flight {
            let call = self.call.clone();
            callers.spawn(async move {
                let mut took = Vec::new();
                while start.elapsed() < TIME {
                    let begun = time::now();
                    call().await?;
                    took.push(begun.elapsed().as_secs_f64() * 1e6);
                }
                Ok::<_, BoxError>(took)
            });
        }
        let mut made = 0_u32;
        while let Some(took) = callers.join_next().await {
            let took = took??;
            made += u32::try_from(took.len())?;
            self.took.extend(took);
        }
        self.rates.push(f64::from(made) / start.elapsed().as_secs_f64());
        Ok(())
    }

    fn forget(&mut self) {
        self.rates.clear();
        self.took.clear();
    }

    fn row(&self, in_flight: usize, bare: &[f64]) -> Row {
        let mut took = self.took.clone();
        took.sort_by(f64::total_cmp);
        let cells = [
            self.name.to_owned(),
            in_flight.to_string(),
            format!("{:.0}", median(&self.rates)),
            format!("{:.0}", took[took.len() / 2]),
            format!("{:.0}", took[took.len() * 99 / 100]),
        ];
        let (row, is_bare) = (Row::new(cells), self.name == "bare");
        let limit = self.name.starts_with("aplomb").then(|| Limit::least(0.97).goal(0.99));
        if is_bare { row } else { row.beside(share(&self.rates, bare), "bare", limit) }
    }
}

/// This program once more, as a server. It is killed with this value.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Result<Self> {
        let mut server = Command::new(std::env::current_exe()?);
        let mut process = server.arg(SERVE).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let printed = process.stdout.take().ok_or("the server has no output")?;
        BufReader::new(printed).read_line(&mut line)?;
        Ok(Self { process, address: line.trim().parse()? })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const SERVE: &str = "serve";
const ROUNDS: u32 = 15;
/// For how long each client calls in a round.
const TIME: Duration = Duration::from_millis(400);
static ANSWER: &str = match std::str::from_utf8(&[b'a'; 1_024]) {
    Ok(text) => text,
    Err(_) => "",
};
