use aplomb_retry::RetryEvent;

/// Sees a run step by step. `()` sees nothing, at no cost.
pub trait Watch {
    /// Whether steps are worth making up.
    const SEES: bool = true;

    /// One step of the retry machine.
    fn step(&mut self, step: Step);
}

/// What a caller did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// When, in nanoseconds.
    pub at: u64,
    /// Which client.
    pub client: u32,
    /// What: the beginning of a call, or what the retry layer would have announced.
    pub what: What,
    /// How many retries at the lowest price the client's budget holds after it.
    pub balance: f64,
}

impl Step {
    /// A step.
    pub const fn new(at: u64, client: u32, what: What, balance: f64) -> Self {
        Self { at, client, what, balance }
    }
}

/// A beginning, or an event of the retry layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The client began a call.
    Begins,
    /// What the retry layer's observer would hear.
    Retry(RetryEvent),
}

impl Watch for () {
    const SEES: bool = false;

    fn step(&mut self, _: Step) {}
}

impl Watch for Vec<Step> {
    fn step(&mut self, step: Step) {
        self.push(step);
    }
}
