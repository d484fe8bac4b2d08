//! Keeps requests that finally failed, until somebody sends them again.
//!
//! Work that nobody waits for must not be lost because a dependency was down for longer than a
//! caller would wait. Nor may it be tried in a loop: that holds a worker's slot and presses on what
//! is down. Here a job that failed goes back to its queue for minutes, then for hours. When its
//! horizon has ended, or the failure will not pass by itself, the request becomes a *dead letter*: a
//! person looks at it, and sends it again under the same key.
//!
//! ```
//! use std::time::Duration;
//! use aplomb_core::{BoxError, OperationClass, time};
//! use aplomb_dead_letter::{DeadLetterLayer, Fate, Job, Listing, MemorySink, Sink};
//! use std::sync::Arc;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! # use bytes::Bytes; use http::{Request, Response}; use http_body_util::Full;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let sink = Arc::new(MemorySink::new());
//! let mut client = ServiceBuilder::new()
//!     .layer(DeadLetterLayer::new(Arc::clone(&sink)))
//!     // ... fallback, deadline, retry, breaker
//!     .service(service_fn(|_: Request<Full<Bytes>>| async {
//!         Err::<Response<()>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
//!     }));
//!
//! let shipment = |left| {
//!     Request::post("http://warehouse:7002/shipments")
//!         .header("idempotency-key", "order_123_shipment")
//!         .extension(OperationClass::Deferred)
//!         .extension(Job::new(left, time::now()))
//!         .body(Full::from(r#"{"order_id": "123"}"#))
//! };
//!
//! // Until the horizon ends, the job waits in its queue.
//! let answer = client.ready().await?.call(shipment(Duration::from_secs(3600))?).await;
//! let Some(Fate::Reschedule(later)) = Fate::of(&answer) else { panic!() };
//! assert!(later.wait >= Duration::from_secs(30));
//!
//! // Then there is a letter.
//! let answer = client.ready().await?.call(shipment(Duration::ZERO)?).await;
//! let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!() };
//! assert_eq!(sink.list(&Listing::dead(10)).await?[0].letter.id, id);
//! # Ok(())
//! # }
//! ```
//!
//! # Which requests
//!
//! Only those of the class [`Deferred`](aplomb_core::OperationClass::Deferred) with an
//! `Idempotency-Key`, towards an operation that honours it: a letter is sent again, perhaps after
//! hours, perhaps though it was carried out. Every other request passes untouched and is announced as
//! [misuse](DeadLetterEvent::Misused). The class and the [`Job`] lie in the request's extensions, so
//! the layer takes `http::Request`.
//!
//! # What becomes of them
//!
//! | the answer | its job |
//! |---|---|
//! | success | is done |
//! | timeout, reset, 5xx, 408, 425, 429, in flight elsewhere, out of budget, held back by a layer inside | [waits](Fate::Reschedule) until its horizon ends, then a letter |
//! | 401, 403, 407: the sender's credentials | the same: somebody renews them |
//! | other 4xx, such as 422, and a 409 that says `outcome-unknown` | a letter at once: it will never be taken as it is |
//! | 501, 505, TLS, protocol, an error that nobody knows | a letter at once |
//! | one of these, and the sink fails | [stays](Fate::NotStored) with its caller |
//!
//! A job waits for as long as the [schedule](DeadLetterLayer::schedule) says, never shorter than the
//! server asked for. Its horizon is judged when a round fails, so its last round may come one wait
//! after it. A request without a job has no queue to wait in: it becomes a letter when it fails.
//!
//! The answer comes back as it came, with its [`Fate`] beside it. A worker does what that says:
//!
//! ```
//! # use aplomb_core::BoxError; use aplomb_dead_letter::Fate; use http::Response;
//! # struct Queue; struct Task;
//! # impl Queue { fn remove(&self, _: Task) {} fn put_back(&self, _: Task, _: std::time::Duration) {} }
//! fn settle(queue: &Queue, task: Task, answer: &Result<Response<()>, BoxError>) {
//!     match Fate::of(answer) {
//!         None | Some(Fate::Delivered | Fate::Buried(_)) => queue.remove(task),
//!         Some(Fate::Reschedule(later) | Fate::NotStored(later)) => queue.put_back(task, later.wait),
//!         Some(_) => unreachable!("this layer does not hand letters over"),
//!     }
//! }
//! ```
//!
//! # The letter
//!
//! Method, target, key, body, and those headers that say what the body is: an allow-list, to which
//! [`keep_headers`](DeadLetterLayer::keep_headers) adds. `Authorization`, cookies, headers marked as
//! sensitive and credentials in the target are never kept; a secret in a query is the application's
//! to avoid. Beside it lie how often it was sent, how and when it failed first and last, when it may
//! be sent again at the earliest, and when its horizon ended.
//!
//! # Nothing is lost, nothing is both
//!
//! - When the sink fails, or has no room, the caller sees [`NotStored`] and keeps the request.
//! - The same work has the same [`LetterId`]. A worker that died between storing a letter and
//!   removing its job stores the same letter again; if the job succeeds instead, its letter is marked
//!   as delivered.
//! - That needs a queue that hands a job to one worker at a time: where a worker can outlive its hold
//!   on a job, only one transaction over queue and letters keeps them apart.
//! - Where queue and letters lie in one database, [`DeadLetterLayer::hand_over`] leaves the letter to
//!   the worker, which stores it in the transaction that removes the job: the crate
//!   `aplomb-dead-letter-sqlx` has that outbox.
//! - An outcome that nobody knows keeps its key, so that sending it again cannot do it twice.
//!
//! # Sinks
//!
//! | sink | keeps letters | for |
//! |---|---|---|
//! | [`MemorySink`] | until the process ends; bounded | tests, and work that may be lost |
//! | [`JsonLines`] | in a file, synced; one writer | one process without a database |
//! | `aplomb-dead-letter-sqlx` | in SQLite or Postgres, beside the caller's rows | everything else |
//!
//! Authors of sinks find their contract at [`Sink`] and the rules, as pure functions, in [`machine`].
//! Letters that have ended stay until [`sweep`](Sink::sweep) forgets them.
//!
//! # Redrive
//!
//! [`Redriver`] lists, sends again and discards. A letter is claimed under a lease, so that of two
//! operators who press at once one is told that the other sends it; the send draws on the retry
//! budget, keeps the key, and is written into the audit with who, when, why and how it ended.
//!
//! | a letter is | when |
//! |---|---|
//! | stored | it was written, or a redrive of it failed |
//! | redriving | somebody sends it; when the lease has ended, it is anybody's again |
//! | delivered | it arrived |
//! | discarded | somebody decided that it need not |
//!
//! # Defaults
//!
//! | what | default |
//! |---|---|
//! | [schedule](DeadLetterLayer::schedule) | half a minute to a minute, doubling up to 4 h ([`Rounds`]) |
//! | [rounds](DeadLetterLayer::rounds_max) | no bound but the horizon |
//! | [body cap](DeadLetterLayer::body_cap) | 64 KiB |
//! | [headers](DeadLetterLayer::keep_headers) | the usual ones |

mod bury;
mod codec;
mod deferred;
mod error;
mod event;
mod failure;
mod fate;
mod future;
mod id;
mod job;
mod judge;
mod kept;
mod layer;
mod letter;
mod lines;
mod log;
pub mod machine;
mod memory;
mod operator;
mod redrive;
mod redriven;
mod redriver;
mod schedule;
mod service;
mod shelf;
mod sink;
mod timestamp;

pub use bury::{Bury, HandOver};
pub use error::{BodyNotKept, NotStored};
pub use event::{DeadLetterEvent, Lacks};
pub use failure::{Cause, LastFailure};
pub use fate::{Fate, Reschedule};
pub use future::ResponseFuture;
pub use id::{LetterId, NoSuchId, key_of};
pub use job::Job;
pub use kept::KeptRequest;
pub use layer::DeadLetterLayer;
pub use letter::{Letter, Record, State};
pub use lines::JsonLines;
pub use machine::Refused;
pub use memory::{BYTES_MAX, LETTERS_MAX, MemorySink};
pub use operator::{Action, AuditEntry, Listing, NOTE_MAX, Note, Which};
pub use redriven::{RedriveError, Redriven, Unwritten};
pub use redriver::{RedriveRequest, Redriver};
pub use schedule::{Rounds, Schedule};
pub use service::DeadLetter;
pub use shelf::AUDIT_MAX;
pub use sink::{Sink, SinkError, StepError, Stored};
pub use timestamp::{Timestamp, millis};
