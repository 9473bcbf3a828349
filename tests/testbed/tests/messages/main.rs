//! Messages over the testbed, between a real client, phones, and the control API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../server/device.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod device;

mod groups;
mod incoming;
mod outgoing;
mod support;
