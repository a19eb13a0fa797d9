//! hookward-core against the outside world: recorded payloads, the providers' own packages, written vectors, and the
//! promises that the repository makes about itself. One binary, so that it links once.
//!
//! What is compared with is installed by `./scripts/test` into `.cache/`; where it is missing, these tests fail and say so.
#![expect(clippy::string_slice, reason = "these tests cut ASCII that they made themselves")]

#[cfg(test)]
mod algorithms;
#[cfg(test)]
mod coded;
#[cfg(test)]
mod octokit;
#[cfg(test)]
mod oracles;
#[cfg(test)]
mod published;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod vectors;
