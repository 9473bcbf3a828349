//! [`Reader`] and [`Tx`], the interfaces for queries and writes. Their operations are in one file per
//! aggregate.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{CachedStatement, Connection, Params, Row};

use super::error::StoreError;
use super::events::LogRow;
use super::wakeups::dirty_endpoints::EndpointWakeup;
use super::wakeups::log_heads::HeadChange;
use super::webhook_endpoints::EndpointKey;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::assignment::AutoAssignment;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::inbox::{InboxSettings, NetworkReadMarks};
use crate::domain::operator_chat::presence::PresenceBook;
use crate::domain::state::State;

/// Queries over one consistent snapshot.
pub struct Reader<'c> {
    connection: &'c Connection,
}

impl<'c> Reader<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'c>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        let found = rows.next()?.map(read).transpose();
        drop(rows);
        #[cfg(test)]
        steps::count(&statement);
        found
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        drop(rows);
        #[cfg(test)]
        steps::count(&statement);
        Ok(found)
    }

    pub(super) fn number(&self, sql: &str, params: impl Params) -> Result<i64, StoreError> {
        let found = self.one(sql, params, |row| Ok(row.get::<_, Option<i64>>(0)?))?;
        Ok(found.flatten().unwrap_or(0))
    }
}

/// The settings and the presence by which transactions maintain device conversations.
#[derive(Clone)]
pub struct InboxContext {
    /// The settings of all inboxes.
    pub settings: InboxSettings,
    /// The users who are online.
    pub presence: Arc<Mutex<PresenceBook>>,
}

/// Operations within one transaction: all of them are committed, or none.
pub struct Tx<'c> {
    reader: Reader<'c>,
    appended: RefCell<Appended>,
    inboxes: Option<InboxContext>,
}

/// Wake-ups that a transaction causes once it is committed.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub(super) heads: Vec<HeadChange>,
    pub(super) events: usize,
    /// The newest entry of the log of operator chat.
    pub(super) chat_seq: Option<i64>,
    /// Devices whose record changed.
    pub(super) devices: Vec<DeviceId>,
    /// Endpoints with new deliveries or a changed configuration.
    pub(super) deliveries: BTreeMap<EndpointKey, EndpointWakeup>,
}

impl Appended {
    fn head(&mut self, device: &DeviceId) -> &mut HeadChange {
        let known = self.heads.iter().position(|head| head.device == *device);
        let index = known.unwrap_or(self.heads.len());
        if known.is_none() {
            self.heads.push(HeadChange { device: device.clone(), entries: Vec::new(), state: None });
        }
        &mut self.heads[index]
    }
}

impl<'c> Tx<'c> {
    pub(super) fn new(connection: &'c Connection, inboxes: Option<InboxContext>) -> Self {
        Self { reader: Reader::new(connection), appended: RefCell::default(), inboxes }
    }

    /// Whether operator chat is enabled, so that device conversations are maintained.
    #[must_use]
    pub fn has_operator_chat(&self) -> bool {
        self.inboxes.is_some()
    }

    /// Whether texts in the form of a slash command are commands.
    #[must_use]
    pub fn has_slash_commands(&self) -> bool {
        self.inboxes.as_ref().is_some_and(|inboxes| inboxes.settings.has_commands)
    }

    /// Whether system messages report changes of the workflow of device inboxes.
    #[must_use]
    pub fn has_system_lines(&self) -> bool {
        self.inboxes.as_ref().is_some_and(|inboxes| inboxes.settings.has_system_lines)
    }

    /// Who gets a conversation without an assignee.
    #[must_use]
    pub fn auto_assignment(&self) -> AutoAssignment {
        self.inboxes.as_ref().map_or(AutoAssignment::None, |inboxes| inboxes.settings.assignment)
    }

    /// The users who mark messages read at the network by reading them.
    #[must_use]
    pub fn network_read_marks(&self) -> NetworkReadMarks {
        self.inboxes.as_ref().map_or(NetworkReadMarks::Never, |inboxes| inboxes.settings.read_marks)
    }

    /// The users of operator chat who are online.
    #[must_use]
    pub fn online_users(&self, now: Millis) -> Vec<UserPk> {
        self.inboxes.as_ref().map_or_else(Vec::new, |inboxes| inboxes.presence.lock().online(now))
    }

    /// Runs a statement and returns the number of changed rows.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        Ok(self.prepare(sql)?.execute(params)?)
    }

    pub(super) fn last_row(&self) -> i64 {
        self.reader.connection.last_insert_rowid()
    }

    /// Records an entry of this log; its followers are woken after the commit.
    pub(super) fn note_appended(&self, device: &DeviceId, entry: LogRow) {
        let mut appended = self.appended.borrow_mut();
        appended.events += 1;
        appended.head(device).entries.push(entry);
    }

    /// Records the device's new state; followers of its log see it after the commit.
    pub(super) fn note_state(&self, device: &DeviceId, state: &State) {
        self.appended.borrow_mut().head(device).state = Some(Arc::new(state.clone()));
    }

    /// Records that the device's record changed, so that its copy in memory is removed.
    pub(super) fn note_device(&self, device: &DeviceId) {
        let devices = &mut self.appended.borrow_mut().devices;
        if !devices.contains(device) {
            devices.push(device.clone());
        }
    }

    /// Records that the log of operator chat grew; its readers are woken after the commit.
    pub(super) fn note_chat_appended(&self, seq: i64) {
        self.appended.borrow_mut().chat_seq = Some(seq);
    }

    /// Records that this endpoint has a new delivery.
    pub(super) fn note_delivery(&self, key: EndpointKey) {
        self.appended.borrow_mut().deliveries.entry(key).or_insert(EndpointWakeup::Waiting);
    }

    /// Records that this endpoint changed, so that cached copies of it are reloaded.
    pub(super) fn note_endpoint(&self, key: EndpointKey) {
        self.appended.borrow_mut().deliveries.insert(key, EndpointWakeup::Changed);
    }

    pub(super) fn into_appended(self) -> Appended {
        self.appended.into_inner()
    }
}

impl<'c> Deref for Tx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

/// Counts the steps of SQLite's virtual machine on this thread: a measure of a read's cost that does not depend on time.
#[cfg(test)]
pub(super) mod steps {
    use std::cell::Cell;

    use rusqlite::{Statement, StatementStatus};

    thread_local! {
        static STEPS: Cell<i32> = const { Cell::new(0) };
    }

    pub(super) fn count(statement: &Statement<'_>) {
        STEPS.set(STEPS.get() + statement.reset_status(StatementStatus::VmStep));
    }

    /// The steps since the last call.
    pub fn take() -> i32 {
        STEPS.take()
    }
}
