//! reqwest's client, with every call going by its policy.
//!
//! Only the constructor changes: requests are built and sent as with `reqwest::Client`, and answered
//! with `reqwest::Response`.
//!
//! ```
//! use aplomb::policy::PolicyFile;
//! use aplomb::reqwest::Client;
//!
//! # async fn reserve(policies: PolicyFile) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(policies)?;
//! let reserved = client
//!     .post("http://inventory.internal:7001/inventory/reservations")
//!     .json(&[("mug", 2)])
//!     .send()
//!     .await?;
//! println!("{}", reserved.text().await?);
//! # Ok(())
//! # }
//! ```
//!
//! Whatever [`stack`](crate::stack) can build, [`ClientStack::reqwest`] and [`Stack::reqwest`] build
//! around a `reqwest::ClientBuilder` of one's own: observers, fallbacks, keys.
//!
//! # What is different
//!
//! - reqwest neither retries nor follows redirects: a 3xx comes back as it is. Otherwise no budget
//!   would pay for what it sends, and no policy allow it.
//! - Errors are one type, [`Error`], in which [`cause`](aplomb_core::cause) finds reqwest's own.
//! - A request is part of an operation by its URL, or by [`RequestBuilder::operation`].
//! - Letters need what lies in an `http::Request`'s extensions, and are for that family alone.
//! - A call is a box: one allocation beside reqwest's own.
//!
//! With the feature `reqwest-middleware`, [`Stack`](crate::stack::Stack) is a link in such a chain too
//! (`Stack::middleware`), and so are all operations of a policy file (`ClientStack::middleware`).
//!
//! [`ClientStack::reqwest`]: crate::stack::ClientStack::reqwest
//! [`Stack::reqwest`]: crate::stack::Stack::reqwest

mod build;
mod client;
mod error;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod request;

pub use client::Client;
pub use error::{Error, Result};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::{PolicyMiddleware, StackMiddleware};
pub use request::RequestBuilder;
