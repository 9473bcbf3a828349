//! The testbed, seen from the client library that Wharf's engine is built on: each test starts a
//! testbed of its own on a free port and connects real clients to it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod device;
mod disconnects;
mod linking;
mod load;
mod login;
mod prekeys;

use std::sync::Arc;

use testbed::Testbed;
use testbed::server::state::Account;

/// The phone that most tests use.
pub const PHONE: &str = "15550100001";

/// A testbed on a free port.
pub async fn testbed() -> Testbed {
    Testbed::start("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// The account of a number that is somebody's.
pub fn account(testbed: &Testbed, number: &str) -> Arc<Account> {
    testbed.world().directory.get_or_create(number).unwrap()
}
