//! The network behind an upstream server: our own simulator, run in the process of the test.
//!
//! [`World`] is the network with all its accounts, [`Account`] one of them with what its upstream keeps, [`Link`] the
//! upstream's connection to the network. What the network tells comes as [`Told`], which the network waits for: a
//! steering call is answered once the server has said that the daemon took it. [`steering`] serves those calls.

mod link;
mod media;
pub mod steering;
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
pub use self::link::{Account, Link, Told};
#[allow(unused_imports, reason = "as above")]
pub use self::media::MemoryMedia;

/// Bytes of the network's journal, far more than a test writes.
const JOURNAL: u64 = 64 << 20;

/// A network with phones in it.
pub struct World {
    driver: Arc<SimulatorDriver>,
    accounts: Mutex<HashMap<DeviceId, Arc<Account>>>,
    _dir: TempDir,
}

impl World {
    /// A network of its own, in a directory of its own.
    pub fn start() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (clock, random) = (Arc::new(SystemClock), Arc::new(OsRandom));
        let driver = SimulatorDriver::new(dir.path(), JOURNAL, clock, random).unwrap();
        Arc::new(Self { driver: Arc::new(driver), accounts: Mutex::default(), _dir: dir })
    }

    /// The account of that name, made at first use; `settings` are the simulator's, and hold from its next link on.
    pub fn account(&self, id: &str, settings: &Value) -> Arc<Account> {
        let id: DeviceId = id.parse().unwrap();
        let mut accounts = self.accounts.lock().unwrap();
        let made = || Arc::new(Account::new(id.clone(), Arc::clone(&self.driver)));
        let account = Arc::clone(accounts.entry(id.clone()).or_insert_with(made));
        account.configure(settings);
        account
    }

    /// The account of that name, if there is one.
    pub fn known(&self, id: &str) -> Option<Arc<Account>> {
        self.accounts.lock().unwrap().get(&id.parse().ok()?).cloned()
    }

    /// A call of the simulator's control API, for the account of that name.
    pub async fn control(&self, id: &str, verb: ControlVerb<'_>, body: Value) -> Result<Value, ControlError> {
        id.parse::<DeviceId>().map_err(|_| ControlError::NotFound)?;
        let account = self.known(id).unwrap_or_else(|| self.account(id, &json!({})));
        self.driver.control(account.control_context(), verb, body).await
    }
}
