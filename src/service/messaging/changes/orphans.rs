//! Changes that come before their messages: kept, and made when those come.

use super::{MessageUpdate, Target, write};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::service::media::links::LinkBase;
use crate::service::messaging::IngestMode;
use crate::store::{StoreError, Tx};

/// Keeps a change to a message that is not here.
pub(super) fn keep(
    tx: &Tx<'_>,
    device: &DeviceId,
    id: &MessageId,
    change: &MessageUpdate,
    now: Millis,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(change).map_err(|_| StoreError::Unreadable("early change"))?;
    tx.keep_early_change(device, id, &text, now)
}

/// Makes the changes that came before this message, in the transaction that stores it.
pub(in crate::service) fn make_early_changes(
    tx: &Tx<'_>,
    device: &DeviceId,
    id: &MessageId,
    telling: IngestMode,
    links: &LinkBase,
    now: Millis,
) -> Result<(), StoreError> {
    for text in tx.take_early_changes(device, id)? {
        let change: MessageUpdate =
            serde_json::from_str(&text).map_err(|_| StoreError::Unreadable("early change"))?;
        let Some(found) = tx.found_here(device, id)? else { return Ok(()) };
        let (_, event) = write(tx, &Target { device, found: &found }, &change, links)?;
        if let (Some(event), IngestMode::Live) = (&event, telling) {
            tx.append(device, event, now)?;
        }
    }
    Ok(())
}
