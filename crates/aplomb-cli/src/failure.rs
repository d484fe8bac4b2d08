use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Why the command did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for cannot be.
    Usage(String),
    /// The machine did not play along.
    Environment(String),
}

impl Failure {
    pub(crate) fn usage(why: impl fmt::Display) -> Self {
        Self::Usage(why.to_string())
    }

    pub(crate) fn file(path: &Path, verb: &str, error: &io::Error) -> Self {
        Self::Environment(format!("cannot {verb} {}: {error}", path.display()))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Environment(_) => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Environment(why) => f.write_str(why),
        }
    }
}
