/// Whether a policy acts.
///
/// ```
/// use aplomb::core::OperationClass;
/// use aplomb::policy::{
///     Alert, Mode, Owner, Pace, Policy, Repeat, Transient, Waits, WhenExhausted, WhenPaused,
/// };
///
/// let read = Policy::preset(OperationClass::Read).build()?;
/// // The six answers:
/// assert_eq!(read.transient(), Transient::Standard);
/// assert_eq!(read.repeat(), &Repeat::ByMethod);
/// assert_eq!(read.owner(), &Owner::Here);
/// let waits: Option<Waits> = read.waits();
/// let ends: &WhenExhausted = read.when_exhausted();
/// let alerts: &[Alert] = read.alerts();
/// // And how it goes on with them:
/// assert_eq!(read.mode(), Mode::Enforce);
/// assert_ne!(read.pace(), Pace::Rescheduled);
/// let paused: WhenPaused = read.when_paused();
/// # let _ = (waits, ends, alerts, paused);
/// # Ok::<(), aplomb::policy::Unanswered>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it acts or it does not")]
pub enum Mode {
    /// It decides, counts, and does what it decided.
    #[default]
    Enforce,
    /// It decides and counts, and does nothing.
    Observe,
}

impl Mode {
    /// The word for it in a policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// Where a call is while it is between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it waits here, elsewhere, or has no second attempt")]
pub enum Pace {
    /// It is sent once.
    Once,
    /// It waits in its own future, and its caller waits with it.
    Waiting,
    /// It goes back to its queue and holds no slot; each run sends it once.
    Rescheduled,
}
