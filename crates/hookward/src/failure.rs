//! How a command fails: a sentence for a person, and an exit code for a script.

use std::{
    error::Error,
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

/// Why a command ended before it was done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It failed.
    Failed { message: String, code: u8 },
    /// Whoever reads its answer has read enough, such as `head`: there is nothing to complain about, and nobody to tell.
    Unread,
}

impl Failure {
    /// Something failed; the message says what to do.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), code: 1 }
    }

    /// An error with its causes, behind what was being done.
    pub(crate) fn of(doing: impl Into<String>, error: &dyn Error) -> Self {
        Self::new(format!("{}: {}", doing.into(), chain(error)))
    }

    /// With something that may help too.
    #[must_use]
    pub(crate) fn and(self, hint: &str) -> Self {
        match self {
            Self::Failed { message, code } => {
                Self::Failed { message: format!("{message}; {hint}"), code }
            }
            Self::Unread => Self::Unread,
        }
    }

    /// The configuration is wrong.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        const EX_CONFIG: u8 = 78;
        Self::Failed { message: message.into(), code: EX_CONFIG }
    }

    /// Says it on standard error; the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Failed { message, code } => {
                // Where it cannot be said, the exit code says it.
                let _unheard = writeln!(io::stderr(), "hookward: {message}");
                ExitCode::from(code)
            }
            Self::Unread => ExitCode::SUCCESS,
        }
    }
}

/// An error and what caused it, each in its own words.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { message, .. } => f.write_str(message),
            Self::Unread => f.write_str("nobody reads what it says"),
        }
    }
}
