//! Kills the daemon repeatedly and checks that no message is lost or duplicated.
//!
//! - [`rounds`]: SIGKILL at random moments under traffic in both directions.
//! - [`mixed_load`]: mixed traffic with faults and restarts.
//! - [`kill_points`]: SIGKILL at the most critical points.
//! - [`shutdown`]: SIGTERM, a second SIGTERM, a second daemon.
//! - [`many_devices`]: a start with many devices.
//! - [`webhooks`]: SIGKILL while receivers of events misbehave.
//! - [`upstream_rounds`]: SIGKILL under traffic through an upstream.
//! - [`backup`]: a copy that is taken under traffic.
//! - [`descriptors`]: attacks on the file descriptors.
//! - [`disk_full`]: writes and starts while the disk is full.
//! - [`power_cut`]: the disk keeps only what was synced.
//! - [`clock`]: the wall clock jumps.
//! - [`damage`]: damaged and truncated database files.
//! - [`data_directory`]: copies, a deleted lock, permissions.
//! - [`socket_rounds`]: SIGKILL while Socket.IO clients send and follow.
//! - [`operator_rounds`]: SIGKILL while operators answer contacts.
//! - [`sockets`]: many sockets that stall, flood, send half frames or vanish.
//! - [`fuzz`]: seeded random inputs for every parser.
//! - [`memory`]: a large file must not grow the daemon's memory.
//!
//! [`traffic`] generates traffic and records the answers; [`checks`] verifies them over REST and [`database`]
//! in the database file. `./dev torture` runs these scenarios; [`tally`] records their figures, and [`reliability`]
//! writes them to `docs/reliability.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test fails by panicking and prints what it measured"
)]

#[macro_use]
#[path = "../process/skip.rs"]
mod skip;

mod backup;
mod checks;
mod clock;
mod damage;
mod data_directory;
mod database;
mod descriptors;
mod disk_full;
mod fleet;
mod fuzz;
mod kill_points;
mod log;
mod many_devices;
mod memory;
mod mixed_load;
mod operator_rounds;
mod power_cut;
#[path = "../process/mod.rs"]
#[allow(dead_code, reason = "shared with the benches, which use another part of it")]
mod process;
mod reliability;
mod rounds;
mod shim;
mod shutdown;
mod socket_rounds;
mod sockets;
mod tally;
mod traffic;
#[path = "../upstream/mod.rs"]
mod upstream;
mod upstream_rounds;
mod webhooks;
