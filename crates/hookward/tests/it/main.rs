//! The program as people and systems use it: commands, exit codes, signals, and what survives `kill -9`.
//!
//! [`program`] starts it as a child process and ends what it started. No test waits for a time: each wait is for a line
//! of the log, an answer, a delivery or an end.

#[cfg(test)]
mod amazon;
#[cfg(test)]
mod application;
#[cfg(test)]
#[path = "../../../hookward-store/tests/it/bucket.rs"]
mod bucket;
#[cfg(test)]
mod checking;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod dynamodb;
#[cfg(test)]
#[path = "../../../hookward-store/tests/it/engine.rs"]
mod engine;
#[cfg(test)]
mod large;
#[cfg(test)]
mod living;
#[cfg(test)]
mod looking;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod program;
#[cfg(test)]
mod renewed;
#[cfg(test)]
mod secured;
#[cfg(test)]
mod training;
#[cfg(test)]
mod units;
#[cfg(test)]
mod vault;
