//! The program as people and systems use it: commands, exit codes, signals, and what survives `kill -9`.
//!
//! [`program`] starts it as a child process and ends what it started. Nothing sleeps: each wait is for a line of
//! the log, an answer, a delivery or an end.

#[cfg(test)]
mod amazon;
#[cfg(test)]
mod application;
#[cfg(test)]
mod checking;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod dynamodb;
#[cfg(test)]
mod living;
#[cfg(test)]
mod looking;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod program;
#[cfg(test)]
mod secured;
#[cfg(test)]
mod units;
