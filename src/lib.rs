//! Wharf: many messaging devices side by side in one small daemon.
//!
//! ARCHITECTURE.md is the map; the arrow of imports between these modules is kept by a test.

pub mod domain;
pub mod engine;
pub mod store;
pub mod lifecycle;
pub mod settings;
pub mod telemetry;
pub mod cli;
pub mod qr;
