//! The network behind an upstream server: our own simulator, run in the process of the test.
//!
//! [`World`] is the network with all its accounts, [`Account`] one of them with its upstream's state,
//! [`Link`] the upstream's connection to the network. Each event is a [`PendingEvent`], whose result the
//! network awaits: a control call is answered once the daemon has accepted its events. [`control`] serves
//! those calls.

pub mod control;
mod link;
mod media;
mod vault;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use wharf::app::{OsRandom, SystemClock};
use wharf::domain::ids::DeviceId;
use wharf::engine::simulator::SimulatorDriver;
use wharf::engine::{ControlError, ControlVerb, Driver as _};

#[allow(unused_imports, reason = "each server uses a part of it")]
pub use self::link::{Account, Link, PendingEvent};
#[allow(unused_imports, reason = "as above")]
pub use self::media::MemoryMedia;

/// The size of the network's journal, far more than a test writes.
const JOURNAL: u64 = 64 << 20;

/// A simulated network with phones.
pub struct World {
    driver: Arc<SimulatorDriver>,
    accounts: Mutex<HashMap<DeviceId, Arc<Account>>>,
    _dir: TempDir,
}

impl World {
    /// A new network in its own directory.
    pub fn start() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (clock, random) = (Arc::new(SystemClock), Arc::new(OsRandom));
        let driver = SimulatorDriver::new(dir.path(), JOURNAL, clock, random).unwrap();
        Arc::new(Self { driver: Arc::new(driver), accounts: Mutex::default(), _dir: dir })
    }

    /// The account with this name, created on first use; the simulator's `settings` hold from its next
    /// connection on.
    pub fn account(&self, id: &str, settings: &Value) -> Arc<Account> {
        let id: DeviceId = id.parse().unwrap();
        let mut accounts = self.accounts.lock().unwrap();
        let made = || Arc::new(Account::new(id.clone(), Arc::clone(&self.driver)));
        let account = Arc::clone(accounts.entry(id.clone()).or_insert_with(made));
        account.configure(settings);
        account
    }

    /// The account with this name, if it exists.
    pub fn existing_account(&self, id: &str) -> Option<Arc<Account>> {
        self.accounts.lock().unwrap().get(&id.parse().ok()?).cloned()
    }

    /// A call of the simulator's control API for the account with this name.
    pub async fn control(&self, id: &str, verb: ControlVerb<'_>, body: Value) -> Result<Value, ControlError> {
        id.parse::<DeviceId>().map_err(|_| ControlError::NotFound)?;
        let account = self.existing_account(id).unwrap_or_else(|| self.account(id, &json!({})));
        self.driver.control(account.control_context(), verb, body).await
    }
}
