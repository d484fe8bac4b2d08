//! The machine's word: state, generation, how often it opened in a row, and what each state needs
//! to know, in 64 bits that change together.

/// What a circuit does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "three states by definition")]
pub enum State {
    /// Lets every call through.
    Closed,
    /// Lets one call through, then two, four and so on while they succeed.
    HalfOpen,
    /// Lets none through.
    Open,
}

impl State {
    /// Every state.
    pub const ALL: &[Self] = &[Self::Closed, Self::HalfOpen, Self::Open];

    /// A word for labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// The word. Bits 0..40 are what the state needs, 40..45 the level, 45..61 the generation, 61..64
/// the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

/// What the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Closed since this millisecond.
    Closed {
        since: u64,
    },
    /// Open until this millisecond.
    Open {
        until: u64,
    },
    HalfOpen(Ramp),
    /// An operator closed it.
    HeldClosed,
    /// An operator opened it.
    HeldOpen,
}

impl Word {
    /// A new circuit: closed, generation 0, level 0.
    pub(crate) const NEW: Self = Self(0);

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    /// Whether calls pass as if there were no circuit.
    #[inline]
    pub(crate) const fn lets_all_through(self) -> bool {
        matches!(self.mode(), CLOSED | HELD_CLOSED)
    }

    /// Results of calls that were let through under another one change nothing.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a part of the word")]
    pub(crate) const fn generation(self) -> u16 {
        (self.0 >> 45) as u16
    }

    /// How many times the open time is to be doubled.
    pub(crate) const fn level(self) -> u32 {
        (self.0 >> 40 & LEVEL_MAX as u64) as u32
    }

    pub(crate) fn phase(self) -> Phase {
        let payload = self.0 & MILLIS_MAX;
        match self.mode() {
            CLOSED => Phase::Closed { since: payload },
            OPEN => Phase::Open { until: payload },
            HALF_OPEN => Phase::HalfOpen(Ramp::from_bits(payload)),
            HELD_CLOSED => Phase::HeldClosed,
            _ => Phase::HeldOpen,
        }
    }

    pub(crate) fn state(self) -> State {
        match self.mode() {
            CLOSED | HELD_CLOSED => State::Closed,
            HALF_OPEN => State::HalfOpen,
            _ => State::Open,
        }
    }

    pub(crate) const fn is_held(self) -> bool {
        matches!(self.mode(), HELD_CLOSED | HELD_OPEN)
    }

    /// Another phase, and with it another generation.
    pub(crate) fn next(self, phase: Phase, level: u32) -> Self {
        Self::of(phase, level, self.generation().wrapping_add(1))
    }

    /// The same generation, further up the ramp.
    pub(crate) fn with(self, ramp: Ramp) -> Self {
        Self::of(Phase::HalfOpen(ramp), self.level(), self.generation())
    }

    fn of(phase: Phase, level: u32, generation: u16) -> Self {
        let (mode, payload) = match phase {
            Phase::Closed { since } => (CLOSED, since.min(MILLIS_MAX)),
            Phase::Open { until } => (OPEN, until.min(MILLIS_MAX)),
            Phase::HalfOpen(ramp) => (HALF_OPEN, ramp.to_bits()),
            Phase::HeldClosed => (HELD_CLOSED, 0),
            Phase::HeldOpen => (HELD_OPEN, 0),
        };
        let level = u64::from(level.min(LEVEL_MAX));
        Self(payload | level << 40 | u64::from(generation) << 45 | mode << 61)
    }

    #[inline]
    const fn mode(self) -> u64 {
        self.0 >> 61
    }
}

/// The way back to full load: how many more calls may go out now, and how those before them ended.
///
/// One goes out; each that succeeds lets two follow, so that they double with every round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ramp {
    pub(crate) free: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
}

impl Ramp {
    /// The first call is out.
    pub(crate) const PROBING: Self = Self { free: 0, succeeded: 0, failed: 0 };

    /// One more goes out, if one may.
    pub(crate) fn take(self) -> Option<Self> {
        Some(Self { free: self.free.checked_sub(1)?, ..self })
    }

    /// One ended without a vote: another may take its place.
    pub(crate) fn gave_back(self) -> Self {
        Self { free: (self.free + 1).min(PART_MAX), ..self }
    }

    /// One succeeded: two may follow.
    pub(crate) fn passed(self) -> Self {
        let (free, succeeded) = ((self.free + 2).min(PART_MAX), (self.succeeded + 1).min(PART_MAX));
        Self { free, succeeded, ..self }
    }

    /// One failed: one may follow.
    pub(crate) fn lost(self) -> Self {
        Self { failed: (self.failed + 1).min(PART_MAX), ..self.gave_back() }
    }

    /// Whether all may follow.
    pub(crate) const fn is_climbed(self) -> bool {
        self.succeeded >= RAMP
    }

    fn from_bits(bits: u64) -> Self {
        let part = |shift: u32| bits >> shift & PART_MAX;
        Self { free: part(0), succeeded: part(13), failed: part(26) }
    }

    fn to_bits(self) -> u64 {
        self.free | self.succeeded << 13 | self.failed << 26
    }
}

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
const HELD_CLOSED: u64 = 3;
const HELD_OPEN: u64 = 4;

/// 34 years.
pub(crate) const MILLIS_MAX: u64 = (1 << 40) - 1;
pub(crate) const LEVEL_MAX: u32 = 31;
const PART_MAX: u64 = (1 << 13) - 1;
/// One, two, four, eight, sixteen, then all: five round trips after the first answer.
pub(crate) const RAMP: u64 = 1 + 2 + 4 + 8 + 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ramp_doubles_with_every_round_trip() {
        let (mut ramp, mut rounds) = (Ramp::PROBING.passed(), Vec::new());
        while !ramp.is_climbed() {
            let round = ramp.free;
            rounds.push(round);
            (0..round).for_each(|_| ramp = ramp.take().unwrap());
            assert_eq!(ramp.take(), None);
            (0..round).for_each(|_| ramp = ramp.passed());
        }
        assert_eq!(rounds, [2, 4, 8, 16]);
    }

    #[test]
    fn what_gives_back_its_place_opens_no_more_than_that() {
        assert_eq!(Ramp::PROBING.gave_back().free, 1);
        assert_eq!(Ramp::PROBING.passed().take().unwrap().lost().free, 2);
    }

    proptest! {
        #[test]
        fn the_parts_of_the_word_do_not_touch(
            phase in phase(), level in 0..=LEVEL_MAX, before: u64, part in 0..=PART_MAX
        ) {
            let before = Word(before);
            let word = before.next(phase, level);
            prop_assert_eq!(word.phase(), phase);
            prop_assert_eq!(word.level(), level);
            prop_assert_eq!(word.generation(), before.generation().wrapping_add(1));
            let ramp = Ramp { free: part, succeeded: PART_MAX - part, failed: part };
            prop_assert_eq!(word.with(ramp).phase(), Phase::HalfOpen(ramp));
            prop_assert_eq!(word.with(ramp).generation(), word.generation());
        }
    }

    fn phase() -> impl Strategy<Value = Phase> {
        prop_oneof![
            (0..=MILLIS_MAX).prop_map(|since| Phase::Closed { since }),
            (0..=MILLIS_MAX).prop_map(|until| Phase::Open { until }),
            Just(Phase::HeldOpen),
            Just(Phase::HeldClosed),
        ]
    }
}
