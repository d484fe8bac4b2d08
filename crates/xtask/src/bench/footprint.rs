//! What the layers, or a peer's, add to a program that calls somebody: time to build, bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cargo_metadata::{Metadata, MetadataCommand};

use super::page::Section;
use super::rates;
use super::sheet::{Row, Sheet, Stand};
use crate::report::now;

/// Builds each program from clean, prints the table, writes it down.
pub(super) fn tell() -> Vec<String> {
    measured().err().into_iter().collect()
}

fn measured() -> Result<(), String> {
    let metadata = MetadataCommand::new().exec().map_err(|error| error.to_string())?;
    let folder = Scratch::new()?;
    let mut built = Vec::new();
    for (number, program) in PROGRAMS.iter().enumerate() {
        eprintln!("{} of {}: {} from clean", number + 1, PROGRAMS.len(), program.name);
        built.push(program.build(&metadata, folder.0.join(number.to_string()))?);
    }
    let sheet = sheet(&built);
    println!("{sheet}");
    rates::write(Section::Footprint, INTRODUCTION, &sheet, &[])
}

/// A program of a few lines.
struct Program {
    name: &'static str,
    /// What it depends on besides what the bare one does, with the features it turns on.
    dependencies: &'static [Dependency],
    /// Makes `client`, a service, of `plain`, the bare client.
    client: &'static str,
}

/// What came of building one.
struct Built {
    name: &'static str,
    took: Duration,
    crates: usize,
    bytes: u64,
}

impl Program {
    fn build(&self, metadata: &Metadata, folder: PathBuf) -> Result<Built, String> {
        let write = |path: &str, text: String| {
            let path = folder.join(path);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        fs::create_dir_all(folder.join("src")).map_err(|error| error.to_string())?;
        write("Cargo.toml", self.manifest(metadata)?)?;
        write("src/main.rs", MAIN.replace("CLIENT", self.client))?;
        // The versions that the workspace has, so that nothing is downloaded.
        let lock = metadata.workspace_root.join("Cargo.lock");
        fs::copy(&lock, folder.join("Cargo.lock")).map_err(|error| format!("{lock}: {error}"))?;
        let start = now();
        let printed = cargo(&folder, &["build", "--release", "--offline"])?;
        let took = start.elapsed();
        let crates = printed.lines().filter(|line| line.trim().starts_with("Compiling ")).count();
        let binary = folder.join("target/release/hello");
        let bytes = fs::metadata(&binary).map_err(|error| format!("{}: {error}", binary.display()));
        let built = Built { name: self.name, took, crates, bytes: bytes?.len() };
        // Six of them would fill a small disk.
        let _ = fs::remove_dir_all(folder);
        Ok(built)
    }

    fn manifest(&self, metadata: &Metadata) -> Result<String, String> {
        let mut all = BTreeMap::<&str, Vec<&str>>::new();
        for (name, features) in BARE.iter().chain(self.dependencies) {
            all.entry(*name).or_default().extend(*features);
        }
        let lines = all.into_iter().map(|(name, features)| {
            let source = source(metadata, name)?;
            Ok(format!(
                "{name} = {{ {source}, default-features = false, features = {features:?} }}\n"
            ))
        });
        let lines: String = lines.collect::<Result<_, String>>()?;
        Ok(MANIFEST.replace("DEPENDENCIES", &lines))
    }
}

/// Where a dependency comes from: its folder, or the version that the workspace has of it.
fn source(metadata: &Metadata, name: &str) -> Result<String, String> {
    let ours = metadata.workspace_packages();
    if let Some(package) = ours.iter().find(|package| package.name.as_str() == name) {
        let folder = package.manifest_path.parent().ok_or("a manifest lies in no folder")?;
        return Ok(format!("path = {:?}", folder.as_str()));
    }
    let versions = metadata.packages.iter().filter(|package| package.name.as_str() == name);
    let newest = versions.map(|package| &package.version).max();
    let newest = newest.ok_or_else(|| format!("{name} is not among the workspace's"))?;
    Ok(format!("version = \"={newest}\""))
}

/// Runs cargo there, as if nobody had set anything; gives back what it printed.
fn cargo(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env("CARGO_TARGET_DIR", folder.join("target")).env_remove("RUSTFLAGS");
    // A wrapper that keeps what was compiled once would make all but the first cost nothing.
    command.env("RUSTC_WRAPPER", "").env("CARGO_INCREMENTAL", "0");
    let output = command.output().map_err(|error| format!("cargo did not start: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(printed) } else { Err(printed) }
}

fn sheet(built: &[Built]) -> Sheet {
    let head = ["client", "seconds", "crates", "KiB", "added seconds", "added KiB"];
    let Some((bare, _)) = built.split_first() else {
        return Sheet { head: head.map(str::to_owned).into(), rows: Vec::new() };
    };
    let rows = built.iter().map(|each| {
        let Built { name, took, crates, bytes } = each;
        let added = took.as_secs_f64() - bare.took.as_secs_f64();
        let (size, more) = (kib(*bytes), kib(*bytes) - kib(bare.bytes));
        let took = took.as_secs_f64();
        let cells = [
            (*name).to_owned(),
            format!("{took:.1}"),
            crates.to_string(),
            format!("{size:.0}"),
            format!("{added:.1}"),
            format!("{more:.0}"),
        ];
        Row { cells: cells.into(), stand: stand(each, bare, built) }
    });
    Sheet { head: head.map(str::to_owned).into(), rows: rows.collect() }
}

/// What each of ours adds in bytes, beside the peer that does most like it. Nothing is asked of it.
fn stand(each: &Built, bare: &Built, built: &[Built]) -> Option<Stand> {
    let (_, peer) = BESIDE.iter().find(|(ours, _)| *ours == each.name)?;
    let peer = built.iter().find(|built| built.name == *peer)?;
    let added = |built: &Built| kib(built.bytes) - kib(bare.bytes);
    let of = format!("{} (added KiB)", peer.name);
    Some(Stand { share: added(each) / added(peer), of, limit: None })
}

fn kib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1024.0
}

/// A folder that goes with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("aplomb-footprint-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const INTRODUCTION: &str = "\
A program that asks one URL with hyper-util's client, bare, then with what is named around that client:
`cargo build --release` from clean on nothing but what is downloaded, and the stripped binary. Of the seconds
only the order means something on a machine that others use too. About five minutes on two cores. Made by
`cargo xtask bench footprint`.";

const MANIFEST: &str = "\
[package]
name = \"hello\"
version = \"0.0.0\"
edition = \"2024\"

[dependencies]
DEPENDENCIES
[profile.release]
strip = true

[workspace]
";

const MAIN: &str = "\
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer as _, ServiceExt as _};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = \"current_thread\")]
async fn main() -> Result<(), Error> {
    let plain = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let plain = plain.map_err(Error::from);
    let client = {
CLIENT
    };
    let url = std::env::args().nth(1).ok_or(\"give a URL\")?;
    let request = http::Request::get(url).body(Full::<Bytes>::default())?;
    let answer: http::Response<hyper::body::Incoming> = client.oneshot(request).await?;
    println!(\"{}\", answer.status());
    Ok(())
}
";

type Dependency = (&'static str, &'static [&'static str]);

const BARE: &[Dependency] = &[
    ("bytes", &["std"]),
    ("http", &["std"]),
    ("http-body-util", &[]),
    ("hyper", &[]),
    ("hyper-util", &["client-legacy", "http1", "tokio"]),
    ("tokio", &["macros", "rt", "time"]),
    ("tower", &["util"]),
];

const PROGRAMS: &[Program] = &[
    Program { name: "bare", dependencies: &[], client: "        plain" },
    Program {
        name: "aplomb: the whole stack of a policy",
        dependencies: &[("aplomb", &["hyper", "policy"])],
        client: "\
        let policy = aplomb::policy::Policy::preset(aplomb::core::OperationClass::Read).build()?;
        aplomb::stack::Stack::new(policy).layer(plain)",
    },
    Program {
        name: "aplomb: retry, breaker, deadline",
        dependencies: &[
            ("aplomb-circuit-breaker", &[]),
            ("aplomb-core", &["hyper"]),
            ("aplomb-deadline", &[]),
            ("aplomb-retry", &[]),
        ],
        client: "\
        let second = std::time::Duration::from_secs(1);
        tower::ServiceBuilder::new()
            .layer(aplomb_retry::RetryLayer::new(aplomb_retry::Budget::percent(20)))
            .layer(aplomb_circuit_breaker::CircuitBreakerLayer::default())
            .layer(aplomb_deadline::DeadlineLayer::attempt(second))
            .service(plain)",
    },
    Program {
        name: "seatbelt: retry, breaker, timeout",
        dependencies: &[
            ("seatbelt", &["breaker", "retry", "timeout", "tower-service"]),
            ("tick", &["tokio"]),
        ],
        client: "\
        type Out = Result<http::Response<hyper::body::Incoming>, Error>;
        let clock = tick::Clock::new_tokio();
        let context: seatbelt::ResilienceContext<http::Request<Full<Bytes>>, Out> =
            seatbelt::ResilienceContext::new(clock);
        fn recovery(out: &Out) -> seatbelt::RecoveryInfo {
            match out {
                Ok(answer) if !answer.status().is_server_error() => seatbelt::RecoveryInfo::never(),
                _ => seatbelt::RecoveryInfo::retry(),
            }
        }
        tower::ServiceBuilder::new()
            .layer(
                seatbelt::retry::Retry::layer(\"hello\", &context)
                    .clone_input()
                    .recovery_with(|out: &Out, _| recovery(out)),
            )
            .layer(
                seatbelt::breaker::Breaker::layer(\"hello\", &context)
                    .recovery_with(|out: &Out, _| recovery(out))
                    .rejected_input(|_, _| Err(\"open\".into())),
            )
            .layer(
                seatbelt::timeout::Timeout::layer(\"hello\", &context)
                    .timeout_output(|_| Err(\"late\".into()))
                    .timeout(std::time::Duration::from_secs(1)),
            )
            .service(plain)",
    },
    Program {
        name: "tower-resilience: retry, breaker, time limit",
        dependencies: &[
            ("tower-resilience-circuitbreaker", &[]),
            ("tower-resilience-retry", &[]),
            ("tower-resilience-timelimiter", &[]),
        ],
        client: "\
        use tower_resilience_circuitbreaker::CircuitBreakerLayer;
        use tower_resilience_retry::RetryLayer;
        use tower_resilience_timelimiter::TimeLimiterLayer;
        type In = http::Request<Full<Bytes>>;
        let second = std::time::Duration::from_secs(1);
        let limited = TimeLimiterLayer::builder().timeout_duration(second).build().layer(plain);
        let broken = CircuitBreakerLayer::builder().build()?.layer(limited);
        let retry = RetryLayer::<In, http::Response<hyper::body::Incoming>, _>::builder();
        let retry = retry.max_attempts(3).exponential_backoff(second / 20).build();
        retry.layer(broken).map_err(|error| Error::from(error.to_string()))",
    },
    Program {
        name: "tower: retry, timeout",
        dependencies: &[("tower", &["retry", "timeout"])],
        client: "\
        use std::sync::Arc;
        use tower::retry::budget::{Budget as _, TpsBudget};
        #[derive(Clone)]
        struct Attempts(Arc<TpsBudget>, u32);
        impl<Q: Clone, A, E> tower::retry::Policy<Q, http::Response<A>, E> for Attempts {
            type Future = std::future::Ready<()>;
            fn retry(
                &mut self,
                _: &mut Q,
                result: &mut Result<http::Response<A>, E>,
            ) -> Option<Self::Future> {
                if result.as_ref().is_ok_and(|answer| !answer.status().is_server_error()) {
                    self.0.deposit();
                    return None;
                }
                self.1 = self.1.checked_sub(1)?;
                self.0.withdraw().then(|| std::future::ready(()))
            }
            fn clone_request(&mut self, request: &Q) -> Option<Q> {
                Some(request.clone())
            }
        }
        tower::ServiceBuilder::new()
            .retry(Attempts(Arc::new(TpsBudget::default()), 2))
            .timeout(std::time::Duration::from_secs(1))
            .service(plain)",
    },
    Program {
        name: "failsafe: breaker",
        dependencies: &[("failsafe", &["futures-support"])],
        client: "\
        use failsafe::futures::CircuitBreaker as _;
        let breaker = failsafe::Config::new().build();
        tower::service_fn(move |request| {
            let call = breaker.call(plain.clone().oneshot(request));
            async { call.await.map_err(|error| error.to_string()) }
        })",
    },
];

/// Ours, beside the peer's that does most like it.
const BESIDE: [(&str, &str); 2] = [
    ("aplomb: the whole stack of a policy", "tower-resilience: retry, breaker, time limit"),
    ("aplomb: retry, breaker, deadline", "seatbelt: retry, breaker, timeout"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_what_lies_over_the_bare_program() {
        let built = [
            built("bare", 10, 1_024_000),
            built(BESIDE[0].0, 14, 1_228_800),
            built(BESIDE[0].1, 13, 1_433_600),
        ];
        let printed = sheet(&built).to_string();
        let ours = format!("| {} | 14.0 | 7 | 1200 | 4.0 | 200 | 0.50 of ", BESIDE[0].0);
        assert!(printed.contains(&ours), "{printed}");
    }

    #[test]
    fn whoever_is_compared_is_built() {
        let is_built = |name: &str| PROGRAMS.iter().any(|program| program.name == name);
        assert!(BESIDE.iter().all(|(ours, peer)| is_built(ours) && is_built(peer)));
        assert_eq!(PROGRAMS[0].name, "bare", "the others are compared with the first");
    }

    fn built(name: &'static str, seconds: u64, bytes: u64) -> Built {
        Built { name, took: Duration::from_secs(seconds), crates: 7, bytes }
    }
}
