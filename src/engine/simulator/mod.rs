//! The simulator: a network with a phone and contacts, for tests, demonstrations and load runs.
//!
//! The link, changed groups and undelivered messages are in the vault, attachments in the media store. The
//! `ledger` is the only file, outside the daemon's transactions, and proves what the network received.
//! Messages that contacts generate by themselves (traffic, echoes) and scheduled receipts are in memory only.
//!
//! Parts: `session` runs one device (`linking`, `online`, `inbound`, `outbound`, `upload`, `changes`,
//! `group_requests`); `network` and `device` outlive sessions (`storage`, `delivery_queue`, `group_store`);
//! `control` is the API that steers phone, contacts and `faults`; `settings`, `generator` and `history` make
//! up the simulated world; `journal_import` imports the files of earlier versions.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use self::control::Control;
use self::network::Network;
use self::session::SimulatorSession;
use self::settings::Settings;
use crate::domain::clock::{Clock, Random};
use crate::domain::ids::DeviceId;
use crate::engine::{
    Capabilities, ControlContext, ControlError, ControlVerb, Driver, OpenError, Session, SessionContext,
    SettingError,
};

mod attachment;
mod changes;
mod content;
mod control;
mod delivery_queue;
mod device;
mod fake_media;
mod faults;
mod fields;
mod generator;
mod group_requests;
mod group_rules;
mod group_store;
mod history;
mod inbound;
mod journal_import;
mod ledger;
mod linking;
mod network;
mod network_message;
mod network_view;
mod online;
mod outbound;
mod pairing_codes;
mod passkey;
mod passkey_exchange;
mod session;
mod settings;
mod storage;
#[cfg(test)]
mod tests;
mod upload;

/// All simulated devices.
pub struct SimulatorDriver {
    network: Arc<Network>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl SimulatorDriver {
    /// Opens the ledger in `data_dir`, which is created if it is missing, and starts its thread.
    ///
    /// The ledger is two files of at most `ledger_max_bytes` each, or one longer line. When the newer file is
    /// full, it replaces the older one.
    ///
    /// # Errors
    /// When the directory or a file cannot be created or opened.
    pub fn new(
        data_dir: &Path,
        ledger_max_bytes: u64,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> io::Result<Self> {
        let network = Arc::new(Network::open(data_dir, ledger_max_bytes)?);
        Ok(Self { network, clock, random })
    }

    /// Waits until the ledger is on disk; called before the process ends.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn flush(&self) -> io::Result<()> {
        self.network.ledger.flush().await.map_err(io::Error::other)
    }
}

#[async_trait]
impl Driver for SimulatorDriver {
    fn name(&self) -> &'static str {
        "simulator"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            qr: true,
            pairing_code: true,
            passkey: true,
            deduplicates: true,
            typing: true,
            presence: true,
            read_receipts: true,
            groups: true,
            media: true,
            location: true,
            contacts: true,
            polls: true,
            templates: false,
            edit: true,
            react: true,
            revoke: true,
            control: true,
        }
    }

    fn check_settings(&self, settings: &Map<String, Value>) -> Result<(), SettingError> {
        Settings::parse(settings).map(|_| ())
    }

    async fn open(&self, context: SessionContext) -> Result<Arc<dyn Session>, OpenError> {
        let settings = Settings::parse(&context.settings)?;
        let session = SimulatorSession::open(Arc::clone(&self.network), settings, context).await?;
        Ok(Arc::new(session))
    }

    async fn control(
        &self,
        context: ControlContext,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<Value, ControlError> {
        let control = Control {
            network: &self.network,
            media: context.media.as_ref(),
            clock: self.clock.as_ref(),
            random: self.random.as_ref(),
        };
        control::serve(&control, &context, verb, body).await
    }

    async fn forget(&self, device: &DeviceId) {
        if let Err(error) = self.network.forget(device).await {
            tracing::error!(%device, %error, "deleted device not recorded in the simulator's ledger");
        }
    }
}
