//! The answers to the six questions, each a value that cannot be wrong by itself.

mod alert;
mod budget;
mod exhausted;
mod mode;
mod owner;
mod paused;
mod repeat;
mod transient;
mod waits;

pub use alert::Alert;
pub use budget::BudgetTerms;
pub use exhausted::WhenExhausted;
pub use mode::{Mode, Pace};
pub use owner::Owner;
pub use paused::WhenPaused;
pub use repeat::{Key, Repeat};
pub use transient::Transient;
pub(crate) use waits::JITTERS;
pub use waits::Waits;
