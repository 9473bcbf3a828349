//! The daemon is killed, again and again, and must have lost and doubled nothing.
//!
//! - [`rounds`]: SIGKILL at random moments under traffic in both directions.
//! - [`mixed_load`]: a day of life in a minute, or in ten.
//! - [`kill_points`]: SIGKILL at the worst moments, one by one.
//! - [`shutdown`]: SIGTERM, a second SIGTERM, a second daemon.
//! - [`many_devices`]: a start with many devices.
//! - [`webhooks`]: SIGKILL while receivers of events misbehave.
//! - [`upstream_rounds`]: SIGKILL under traffic through an upstream.
//! - [`memory`]: a large file through a daemon that must not grow with it.
//!
//! [`traffic`] makes the traffic and remembers what was answered; [`checks`] asks the daemon for it over
//! REST and [`database`] looks at the file itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test fails by panicking and tells what it measured"
)]

#[macro_use]
#[path = "../process/skip.rs"]
mod skip;

mod checks;
mod database;
mod fleet;
mod kill_points;
mod log;
mod many_devices;
mod memory;
mod mixed_load;
#[path = "../process/mod.rs"]
#[allow(dead_code, reason = "shared with the benches, which use another part of it")]
mod process;
mod rounds;
mod shutdown;
mod traffic;
#[path = "../upstream/mod.rs"]
mod upstream;
mod upstream_rounds;
mod webhooks;
