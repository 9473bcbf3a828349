//! The network besides messages: queries, groups, files, presence and app state, with the library's client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod control;
mod device;
mod groups;
mod history;
mod http;
mod media;
mod people;
mod state;

use std::sync::Arc;

use serde_json::Value;
use testbed::Testbed;
use testbed::scene::Settings;
use testbed::server::scene_setup;
use testbed::server::state::Account;

/// The phone's number.
const PHONE: &str = "15550100001";

/// A testbed on a free port.
async fn testbed() -> Testbed {
    Testbed::start("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// The account of a number, in a scene with these settings.
fn account(testbed: &Testbed, number: &str, settings: &Value) -> Arc<Account> {
    let account = testbed.world().directory.get_or_create(number).unwrap();
    scene_setup::apply(testbed.world(), &account, Settings::parse(settings).unwrap(), "").unwrap();
    account
}
