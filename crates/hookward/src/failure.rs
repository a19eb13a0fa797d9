//! How a command fails: a sentence for a person, and an exit code for a script.

use std::{error::Error, fmt, process::ExitCode};

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Something failed; the message says what to do.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// An error with its causes, behind what was being done.
    pub(crate) fn of(doing: impl Into<String>, error: &dyn Error) -> Self {
        Self::new(format!("{}: {}", doing.into(), chain(error)))
    }

    /// With something that may help too.
    #[must_use]
    pub(crate) fn and(mut self, hint: &str) -> Self {
        self.message = format!("{}; {hint}", self.message);
        self
    }

    /// The configuration is wrong.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        const EX_CONFIG: u8 = 78;
        Self { message: message.into(), code: EX_CONFIG }
    }

    /// Says it on standard error; the exit code.
    #[expect(clippy::print_stderr, reason = "the binary talks to the terminal")]
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("hookward: {}", self.message);
        ExitCode::from(self.code)
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
        f.write_str(&self.message)
    }
}
