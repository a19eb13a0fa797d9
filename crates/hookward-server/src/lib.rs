//! The gateway as a running thing.
//!
//! A webhook's way is read in three files: [`receive`] (the whole path of one incoming request),
//! `hookward_core::source` (what makes it an event), and the store behind [`hookward_store::Store`]. Its mirror is
//! [`deliver`], the whole path of one delivery attempt. [`serve`] builds, spawns and drains.

pub mod admin;
pub mod answer;
mod body;
mod circuit;
pub mod clock;
pub mod deliver;
pub mod destination;
pub mod doubts;
mod framing;
pub mod gateway;
mod in_flight;
mod listen;
pub mod metrics;
mod patience;
pub mod receive;
pub mod serve;
mod slots;
pub mod tls;
mod workers;

pub use clock::{Clock, ManualClock, SystemClock};
pub use gateway::{Gateway, Routes};
pub use serve::{Pace, ServeError, Server};
