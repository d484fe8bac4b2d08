/// What a deadline did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadlineEvent {
    /// Time was up before the answer came.
    Exceeded,
    /// Time was up before anything was sent.
    Unsent,
}
