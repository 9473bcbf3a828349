//! The testbed from the view of the client library of Wharf's engine: each test starts its own testbed on a
//! free port and connects real clients.

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

/// The phone of most tests.
pub const PHONE: &str = "15550100001";

/// A testbed on a free port.
pub async fn testbed() -> Testbed {
    Testbed::start("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// The account of a registered number.
pub fn account(testbed: &Testbed, number: &str) -> Arc<Account> {
    testbed.world().directory.get_or_create(number).unwrap()
}
