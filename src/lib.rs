//! Wharf: many messaging devices side by side in one small daemon.
//!
//! ARCHITECTURE.md is the map; the arrow of imports between these modules is kept by a test.

pub mod api;
pub mod app;
pub mod cli;
pub mod domain;
pub mod effects;
pub mod engine;
pub mod lifecycle;
pub mod media;
pub mod net;
pub mod qr;
pub mod service;
pub mod settings;
pub mod store;
pub mod telemetry;
