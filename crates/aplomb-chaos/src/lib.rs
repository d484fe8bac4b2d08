//! Injects seeded faults into a service.
//!
//! A retry, a breaker or an idempotency key is believed when it has been seen to work, and it is
//! seen to work only when something fails. Faults that are thrown by hand never fall between the
//! commit and the answer, which is where duplicates are made; these do. Each acts at the place
//! where its real counterpart acts, so there are several stations and one [`Chaos`] handle turns
//! the knobs of them all.
//!
//! ```
//! use aplomb_chaos::{Chaos, Cut, Knobs};
//! use aplomb_core::cause;
//! use tower::{Service, ServiceExt, service_fn};
//! use tower_layer::Layer;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), aplomb_core::BoxError> {
//! let chaos = Chaos::seeded(7);
//! let stock = service_fn(async |_: http::Request<()>| Ok::<_, std::io::Error>("reserved"));
//! let mut stock = chaos.edge().layer(stock);
//!
//! chaos.set(Knobs { lose_next: 1, ..Knobs::default() });
//! let lost = stock.ready().await?.call(http::Request::new(())).await.unwrap_err();
//! assert!(cause::<Cut>(&*lost).is_some());
//! assert_eq!(stock.ready().await?.call(http::Request::new(())).await?, "reserved");
//! # Ok(()) }
//! ```
//!
//! | station | where it belongs | what it does there | knobs |
//! |---|---|---|---|
//! | [`Chaos::edge`] | outermost, on a server or around a client | cuts the connection before anything runs | `down`, `drop_connection_rate` |
//! | | | takes the call and never answers | `hang_rate` |
//! | | | cuts the connection after the answer was made, so that the effect stands and nobody hears of it | `lose_next`, `lose_response_rate` |
//! | [`Chaos::body`] | outside whatever makes bodies | sends the head and a part of the body, then cuts | `cut_body_rate` |
//! | [`Chaos::errors`] | outside whatever claims an idempotency key | answers instead of the service | `error_rate`, `error_status`, `capacity_per_second` |
//! | [`Chaos::delay`] | around a client, or before a whole service | waits | `latency_ms`, `latency_jitter_ms` |
//! | | | waits for its turn, and works | `work_ms`, `workers` |
//! | [`Chaos::latency`] | inside a handler, between claim and commit | the same | the same |
//! | [`Chaos::connect`] | around a client's connector | refuses the connection | `down`, `refuse_rate` |
//!
//! `capacity_per_second` is a server that knows its limit and says so at once. `work_ms` is one that
//! does not: what is too much queues, work is done for callers that have gone, and in an overload
//! everybody is late, unless something in front of it bounds what it takes on.
//!
//! Every station has dice of its own: turning one knob never changes how another one falls, and
//! the same seed and the same order of calls give the same faults. With all knobs at zero a
//! station costs one atomic load; nothing is allocated.

mod body;
mod capacity;
mod chaos;
mod connect;
mod delay;
mod edge;
mod error;
mod errors;
mod event;
mod knobs;
mod latency;
mod layer;
mod live;
mod only;
mod turns;

pub use body::{AtBody, Bodies, BodyFuture, BodyLayer, CutBody};
pub use chaos::Chaos;
pub use connect::{AtConnect, Connect, ConnectFuture, ConnectLayer};
pub use delay::{AtDelay, Delay, DelayFuture, DelayLayer};
pub use edge::{AtEdge, Edge, EdgeFuture, EdgeLayer};
pub use error::{Cut, OutOfRange, Refused};
pub use errors::{AtErrors, Errors, ErrorsFuture, ErrorsLayer};
pub use event::Event;
pub use knobs::Knobs;
pub use layer::{Station, StationLayer};
pub use only::{Everything, Matches};
