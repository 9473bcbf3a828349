//! Stores changes that arrive before their messages and applies them when the messages arrive.
//!
//! An early change is applied in the transaction that stores its message. It emits an event only if both the
//! change and the message are live.

use super::{MessageUpdate, Target, write};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::service::media::links::LinkBase;
use crate::service::messaging::IngestMode;
use crate::store::orphan_changes::OrphanChange;
use crate::store::{StoreError, Tx};

/// Stores a change to a message that is not in the store.
pub(super) fn keep(
    tx: &Tx<'_>,
    device: &DeviceId,
    id: &MessageId,
    change: &MessageUpdate,
    mode: IngestMode,
    now: Millis,
) -> Result<(), StoreError> {
    let change = serde_json::to_string(change).map_err(|_| StoreError::Unreadable("early change"))?;
    let is_live = mode == IngestMode::Live;
    tx.store_orphan_change(device, id, &OrphanChange { change, is_live }, now)
}

/// Applies the early changes to a message, in the transaction that stores the message.
pub(in crate::service) fn make_early_changes(
    tx: &Tx<'_>,
    device: &DeviceId,
    id: &MessageId,
    mode: IngestMode,
    links: &LinkBase,
    now: Millis,
) -> Result<(), StoreError> {
    for orphan in tx.take_orphan_changes(device, id)? {
        let change: MessageUpdate =
            serde_json::from_str(&orphan.change).map_err(|_| StoreError::Unreadable("early change"))?;
        let Some(found) = tx.found_here(device, id)? else { return Ok(()) };
        let (_, event) = write(tx, &Target { device, found: &found }, &change, links)?;
        if let (Some(event), IngestMode::Live, true) = (&event, mode, orphan.is_live) {
            tx.append(device, event, now)?;
        }
    }
    Ok(())
}
