/// What a call does that finds its dependency's circuit open, or the dependency left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it waits or it does not")]
pub enum WhenPaused {
    /// It waits until the dependency may be asked again, if its own time allows.
    #[default]
    Wait,
    /// It fails at once, unless the pause is over within a tenth of a second: whoever asked has an
    /// answer for that, and hears it now.
    Fail,
}

impl WhenPaused {
    /// The word for it in a policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Fail => "fail",
        }
    }
}
