/// What the author of one request knows about repeating it, whatever its method says: put it into
/// the request's extensions, where every layer reads it by way of [`Call`](crate::Call).
///
/// ```
/// use aplomb_core::{Repeatable, Request, Safety};
///
/// // A search that is sent as a POST only reads.
/// let search = http::Request::post("/search").extension(Repeatable::Yes).body(())?;
/// assert_eq!(search.call().safety, Safety::Idempotent);
///
/// // A GET that hands out a ticket must not hand out two.
/// let ticket = http::Request::get("/ticket").extension(Repeatable::No).body(())?;
/// assert!(ticket.call().once);
/// # Ok::<(), http::Error>(())
/// ```
///
/// The extensions of a `reqwest::Request` are its own: there a policy or a key says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a request may be repeated or it may not")]
pub enum Repeatable {
    /// Twice has the effect of once.
    Yes,
    /// Twice is wrong, with a key or without: it is sent again only when it provably never arrived.
    No,
}
