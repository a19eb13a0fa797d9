//! What a command answers, on standard output.
//!
//! Standard output is a pipe or a file as often as a terminal: it can be closed before all is said, or full. The
//! standard library's `println!` panics then. [`say!`] gives a [`Failure`] instead, which ends the command.

use std::{
    fmt,
    io::{self, Write as _},
};

use crate::failure::Failure;

/// Says a line on standard output. Its arguments are those of `format!`.
macro_rules! say {
    ($($line:tt)*) => { $crate::output::line(format_args!($($line)*)) };
}
pub(crate) use say;

/// Says this line.
pub(crate) fn line(line: fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| unsaid(&error))
}

/// Says this as it is.
pub(crate) fn text(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(|error| unsaid(&error))
}

/// What it means that something could not be said.
pub(crate) fn unsaid(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::Unread;
    }
    Failure::of("could not write to standard output", error)
}
