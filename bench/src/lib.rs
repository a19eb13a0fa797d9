//! Measurements that a test repeats in small.

pub mod write_units;
