//! The simulator: a network with a phone and contacts in it, for tests, demonstrations and load runs.
//!
//! Parts: `network`, with a `device` for each, is what lives on while they are away; `journal` is its file, of
//! `entries` and with a `letter` for each message, read back by `replay` and `view`; `files` are what belongs
//! to messages that wait, `group_book` the groups that changed. `session` connects a device, with `linking`
//! for the codes, `uploading` and `sending` for what goes out, `receiving` for what comes in, `changing` and
//! `grouping` for what is changed. `control` is the API that moves phone, contacts and `faults`; `settings`,
//! `script` and `past` say how the simulated world behaves by itself; `groups` are the rules of groups.
//!
//! What is simulated: codes that expire, six in all; a phone that scans, or has a code typed on it; contacts
//! that write, send files, react, vote and call; groups; a network that delivers a message again until it is
//! acknowledged, also after the daemon was killed, and that drops further copies of a message by their id;
//! numbers that begin with `1555019` are nobody's.
//!
//! Invariants: nothing here knows the store, the services or the API. The journal's thread is the only work
//! in the background; it ends with the last session and the driver. Of single messages nothing stays in
//! memory once they are delivered.

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
    Capabilities, ControlError, ControlVerb, Driver, OpenError, Session, SessionContext, SettingError,
};

mod changes;
mod content;
mod control;
mod delivery_queue;
mod device;
mod entries;
mod fake_media;
mod faults;
mod fields;
mod files;
mod generator;
mod group_book;
mod group_requests;
mod group_rules;
mod history;
mod inbound;
mod journal;
mod letter;
mod linking;
mod network;
mod outbound;
mod pairing_codes;
mod replay;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod upload;
mod view;

/// All simulated devices.
pub struct SimulatorDriver {
    network: Arc<Network>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl SimulatorDriver {
    /// Opens the network's journal in `data_dir`, which is made if need be, and starts its thread.
    ///
    /// The journal is two files of at most `journal_max_bytes` each (or one longer line): when the newer is
    /// full it takes the older one's place, and what stood there is forgotten. It is read in the
    /// background; sessions and control calls wait for that.
    ///
    /// # Errors
    /// When the directory or the file cannot be made or opened.
    pub fn new(
        data_dir: &Path,
        journal_max_bytes: u64,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> io::Result<Self> {
        let network = Network::start(data_dir, journal_max_bytes)?;
        Ok(Self { network, clock, random })
    }

    /// Waits until all that the network saw is on disk; to be called before the process ends.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn flush(&self) -> io::Result<()> {
        self.network.journal.flush().await.map_err(io::Error::other)
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
        self.network.ready().await.map_err(|error| OpenError::Engine(Box::new(error)))?;
        let session = SimulatorSession::open(Arc::clone(&self.network), settings, context).await?;
        Ok(Arc::new(session))
    }

    async fn control(
        &self,
        device: &DeviceId,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<Value, ControlError> {
        let control =
            Control { network: &self.network, clock: self.clock.as_ref(), random: self.random.as_ref() };
        control.serve(device, verb, body).await
    }

    async fn forget(&self, device: &DeviceId) {
        if let Err(error) = self.network.forget(device, true).await {
            tracing::error!(%device, %error, "the simulated network could not forget a device");
        }
    }
}
