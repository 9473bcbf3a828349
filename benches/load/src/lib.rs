//! What the benches compute with: figures of the kernel, statistics, and the document of the results.
//!
//! The binary of this package is the load generator itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench ends by panicking when it cannot measure")]

pub mod document;
pub mod kernel;
pub mod statistics;
