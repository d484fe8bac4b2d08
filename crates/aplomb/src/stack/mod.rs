//! Ready stacks: every layer in the one right order.
//!
//! Layers in another order work too, and do something else: a deadline inside the retries bounds
//! nothing, a key stamped inside them is new work each time, a breaker outside them sees one call
//! where three went out. Here the order is made once.
//!
//! | side | outermost first |
//! |---|---|
//! | client | dead letter, fallback, deadline (total), idempotency key, retry, backoff, in-flight limit, circuit breaker, deadline (attempt), transport |
//! | server | problem responses, authentication (the application's), deadline (inherited), admission, idempotency, handler |
//!
//! | where it stands | because |
//! |---|---|
//! | the total deadline outside the retries | it bounds all attempts and the waits between them |
//! | the key outside the retries | all sends of a call are one piece of work |
//! | the pace inside the retries | a retry that waited for the dependency finds its time come |
//! | the limit inside the pace | who waits for the dependency holds no place |
//! | the breaker inside the limit | who waits for a place holds no probe |
//! | the attempt's deadline inside the breaker | an attempt that is cut off is a failure that counts |
#![cfg_attr(
    feature = "policy",
    doc = r"
[`client`] routes each request of any client to the policy of its operation, [`Stack`] goes by one
policy. [`server`] is the other side.

# What a stack does with a policy

| the policy says | the stack |
|---|---|
| `key` | stamps one on a POST or PATCH that has none, and repeats what has one |
| `repeat = always` | may repeat a POST; `never`: sends once |
| an `owner` elsewhere | sends once |
| this service as the `owner` | says so on the request (`x-retry-owner`), and leaves the retries to whoever has said so before |
| `when_paused = fail` | waits for no open circuit, and for no pause longer than 100 ms |
| `attempts`, `backoff` of a `deferred` operation | sends once a run, for an attempt's time; `dead_letters` lets the job come back as often, after such waits |
| `transient` | judges by it in every layer; with `unsent`, other failures are final and count in the breaker all the same |
| `when_exhausted` | lets the `fallback` answer, or the last good answer, or keeps a letter, where the stack has one |
| `mode = observe` | decides and announces in every layer, and does nothing: no key is stamped either |

Operations that only observe share budget, breaker, limit and pace among themselves, apart from
those that act. A POST without a key is sent once, whatever the policy, unless it provably never
arrived; or the policy says that it only reads.

# Price

A call that succeeds at once allocates nothing in these layers, the copy of a request that can be
sent again aside (measured, `tests/stack_allocations.rs`), and, in a client of a policy file, the value
of `x-retry-owner`; a fallback copies the request's headers.
The policy in force is read without a lock.
"
)]

#[cfg(feature = "policy")]
mod around;
#[cfg(feature = "policy")]
mod client;
#[cfg(feature = "policy")]
mod either;
#[cfg(feature = "policy")]
mod handle;
#[cfg(feature = "policy")]
mod judge;
#[cfg(all(feature = "policy", feature = "dead-letter"))]
mod letters;
#[cfg(feature = "policy")]
mod observe;
#[cfg(feature = "policy")]
mod operation;
#[cfg(feature = "policy")]
mod prompt;
#[cfg(feature = "policy")]
mod routed;
mod server;
#[cfg(feature = "policy")]
mod shared;
#[cfg(feature = "policy")]
mod single;
#[cfg(feature = "policy")]
mod table;

#[cfg(all(feature = "policy", feature = "last-good"))]
pub use around::Remembered;
#[cfg(feature = "policy")]
pub use around::{Answered, Answers, Around, Bare, Calls, Whole};
#[cfg(feature = "policy")]
pub use client::{ClientStack, client};
#[cfg(feature = "policy")]
pub use either::{Either, EitherFuture};
#[cfg(feature = "reqwest-middleware")]
pub(crate) use handle::Built;
#[cfg(feature = "policy")]
pub use handle::{Handle, PolicyEvent};
#[cfg(feature = "policy")]
pub use judge::Judge;
#[cfg(all(feature = "policy", feature = "dead-letter"))]
pub use letters::Lettered;
#[cfg(feature = "policy")]
pub use observe::{ObserveCalls, Observers};
#[cfg(feature = "policy")]
pub use operation::{Attempt, Operation};
#[cfg(feature = "policy")]
pub use prompt::{Prompt, PromptFuture};
#[cfg(feature = "policy")]
pub use routed::{Client, NoOperation, ResponseFuture};
pub use server::{ServerStack, server};
#[cfg(feature = "policy")]
pub use single::Stack;
