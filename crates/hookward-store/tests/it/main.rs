//! All integration tests of the store, in one binary.
#![expect(
    clippy::case_sensitive_file_extension_comparisons,
    clippy::cast_possible_truncation,
    clippy::clone_on_ref_ptr,
    clippy::future_not_send,
    clippy::needless_pass_by_value,
    clippy::ref_option,
    reason = "small numbers, names of our own files, and histories that run on one thread"
)]

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod bucket;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod dictionaries;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod format;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod late;
#[cfg(test)]
mod local;
#[cfg(test)]
mod model;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod power;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod story;
#[cfg(test)]
mod subjects;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod units;
