use std::fmt;
use std::sync::Arc;

use super::super::position::Position;
use super::text::wrapped;

/// Something that is wrong with a policy.
///
/// Printed, it is a paragraph for people: code and place, what is wrong with the numbers, the mend,
/// the page of the book.
///
/// ```
/// use aplomb::policy::{Code, Finding, PolicyFile, Position, Severity, human, lint};
///
/// let text = "version = 1\n[service]\nname = 'shop'\nfleet = 40\n[dependency.stock.operation.look]\n\
///             class = 'read'\nbackoff = { jitter = 'none' }";
/// let findings: Vec<Finding> = lint(&PolicyFile::parse("aplomb.toml", text)?);
/// let finding = &findings[0];
/// assert_eq!((finding.code, finding.severity), (Code::NoJitter, Severity::Error));
/// assert_eq!(finding.at.map(|at: Position| at.line), Some(7));
/// assert_eq!(finding.code.page(), "lint/no-jitter.html");
/// println!("{}", human(&findings));
/// # Ok::<(), aplomb::policy::Errors>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of mistake it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: Arc<str>,
    /// Where in it; none when no file was read.
    pub at: Option<Position>,
    /// The dependency, unless it is about the service.
    pub dependency: Option<Arc<str>>,
    /// The operation, unless it is about the whole dependency.
    pub operation: Option<Arc<str>>,
    /// What is wrong, with the numbers.
    pub what: String,
    /// What would mend it.
    pub mend: String,
    /// The numbers by name; times are in seconds.
    pub numbers: Vec<(&'static str, f64)>,
}

impl Finding {
    /// What it is about: `inventory.reserve`, `inventory`, or the service.
    pub fn subject(&self) -> String {
        match (&self.dependency, &self.operation) {
            (Some(dependency), Some(operation)) => format!("{dependency}.{operation}"),
            (Some(dependency), None) => dependency.to_string(),
            _ => "service".to_owned(),
        }
    }

    /// Where it stands: file, line and column.
    pub fn place(&self) -> String {
        match self.at {
            Some(at) => format!("{}:{at}", self.file),
            None => self.file.to_string(),
        }
    }

    /// Whether it is about this dependency, or one of its operations.
    pub(crate) fn is_about(&self, dependency: &str) -> bool {
        self.dependency.as_deref() == Some(dependency)
    }

    /// Whether this operation of its dependency is concerned.
    pub(crate) fn concerns(&self, operation: &str) -> bool {
        self.operation.as_deref().is_none_or(|own| own == operation)
    }

    /// With numbers for whoever reads them by program.
    pub(crate) fn numbers<const N: usize>(mut self, numbers: [(&'static str, f64); N]) -> Self {
        self.numbers.extend(numbers);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, code) = (self.severity.as_str(), self.code.as_str());
        writeln!(f, "{severity:<7}  {code:<19}  {}", self.subject())?;
        writeln!(f, "{}", wrapped(&format!("at {}", self.place()), 9))?;
        writeln!(f, "{}", wrapped(&self.what, 9))?;
        writeln!(f, "{}", wrapped(&format!("mend: {}", self.mend), 9))?;
        write!(f, "{:9}page: {}", "", self.code.page())
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "wrong, or dear")]
pub enum Severity {
    /// It costs more than it says, or does less.
    Warning,
    /// It does what nobody wants: effects twice, a storm, an answer that never comes.
    Error,
}

impl Severity {
    /// A word for tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The kinds of mistakes. Their words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Attempts for which no time is left when those before them time out.
    AttemptNeverRuns,
    /// The breaker's minimum of calls is never reached at the declared rate.
    BreakerUnreachable,
    /// The breaker's window is shorter than one attempt may take.
    BreakerWindow,
    /// Waits too short to spread the fleet over what the dependency can serve.
    CapTooSmall,
    /// A fallback that calls the dependency it stands in for.
    FallbackLoop,
    /// A key forgotten before its last use.
    KeyTooShort,
    /// Layers in an order that undoes what they are for.
    LayerOrder,
    /// Waits that everybody ends at the same moment.
    NoJitter,
    /// More load than the dependency can come back under.
    OverUtilised,
    /// Sends that multiply from hop to hop.
    SendsPerCall,
    /// Retries in store that are an outage's second wave.
    StoredFuel,
    /// More time than the call has.
    TimeOverTotal,
    /// Two hops that retry one dependency.
    TwoOwners,
    /// A write that may run twice.
    WriteWithoutKey,
}

impl Code {
    /// Every code.
    pub const ALL: &[Self] = &[
        Self::AttemptNeverRuns,
        Self::BreakerUnreachable,
        Self::BreakerWindow,
        Self::CapTooSmall,
        Self::FallbackLoop,
        Self::KeyTooShort,
        Self::LayerOrder,
        Self::NoJitter,
        Self::OverUtilised,
        Self::SendsPerCall,
        Self::StoredFuel,
        Self::TimeOverTotal,
        Self::TwoOwners,
        Self::WriteWithoutKey,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptNeverRuns => "attempt-never-runs",
            Self::BreakerUnreachable => "breaker-unreachable",
            Self::BreakerWindow => "breaker-window",
            Self::CapTooSmall => "cap-too-small",
            Self::FallbackLoop => "fallback-loop",
            Self::KeyTooShort => "key-too-short",
            Self::LayerOrder => "layer-order",
            Self::NoJitter => "no-jitter",
            Self::OverUtilised => "over-utilised",
            Self::SendsPerCall => "sends-per-call",
            Self::StoredFuel => "stored-fuel",
            Self::TimeOverTotal => "time-over-total",
            Self::TwoOwners => "two-owners",
            Self::WriteWithoutKey => "write-without-key",
        }
    }

    /// Its page, as a path within the published book: the rule, the incident, a file that is mended.
    pub fn page(self) -> String {
        format!("lint/{self}.html")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
