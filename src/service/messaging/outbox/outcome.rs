//! Finalizes a message of the outbox, in the transaction that stores its outcome.
//!
//! A finalized message has left the outbox and has a level above pending, or an error with its reason.

use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::message::SendFailure;
use crate::engine::SendError;
use crate::service::messaging::ingest::{AckUpdate, raise_ack};
use crate::store::outbox::OutboxRow;
use crate::store::{StoreError, Tx};

/// Stores that the network has the message.
pub(super) fn store_sent(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &OutboxRow,
    participants: &[Jid],
    now: Millis,
) -> Result<(), StoreError> {
    let mut participants = participants.to_vec();
    tx.canonicalize_ids(device, &mut participants)?;
    for participant in &participants {
        tx.merge_receipt(row.message_pk, participant, Ack::Server, now)?;
    }
    raise(tx, device, row, &AckUpdate { level: Ack::Server, failure: None, reader: None }, now)?;
    // Receipts of members that came before the network's answer count only now that the list is complete.
    let receipts = tx.receipts(row.message_pk)?;
    match Ack::of_group(receipts.into_iter().map(|receipt| receipt.ack)) {
        Some(level) if row.entry.chat.is_group() && level > Ack::Server => {
            raise(tx, device, row, &AckUpdate { level, failure: None, reader: None }, now)
        }
        _ => Ok(()),
    }
}

/// Fails all messages of the outbox, so that none is sent from another account or waits without a sender.
/// `code` and `what_happened` ("the device was …") apply to unsent messages; the others may have arrived.
pub(in crate::service) fn store_all_failed(
    tx: &Tx<'_>,
    device: &DeviceId,
    code: &'static str,
    what_happened: &str,
    now: Millis,
) -> Result<(), StoreError> {
    let never_left = SendError { code, message: format!("{what_happened} before it was sent") };
    let unknown = SendError {
        code: "outcome_unknown",
        message: format!("{what_happened} before the network said whether it arrived"),
    };
    tx.outbox_rows(device)?.iter().try_for_each(|row| match row.sending_since {
        None => store_failed(tx, device, row, &never_left, now),
        Some(_) => store_given_up(tx, device, row, &unknown, now),
    })
}

/// As [`store_failed`], but not counted as a failure: it was requested, or the message may have arrived.
pub(in crate::service) fn store_given_up(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &OutboxRow,
    error: &SendError,
    now: Millis,
) -> Result<(), StoreError> {
    // Remove it first: only messages in the outbox are counted.
    tx.outbox_remove(row.message_pk)?;
    store_failed(tx, device, row, error, now)
}

/// Stores that the message failed and will not be resent.
pub(in crate::service) fn store_failed(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &OutboxRow,
    error: &SendError,
    now: Millis,
) -> Result<(), StoreError> {
    let failure = SendFailure { code: error.code.to_owned(), message: error.message.clone() };
    raise(tx, device, row, &AckUpdate { level: Ack::Error, failure: Some(failure), reader: None }, now)
}

fn raise(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &OutboxRow,
    raise: &AckUpdate<'_>,
    now: Millis,
) -> Result<(), StoreError> {
    if let Some(ack_row) = tx.ack_row(device, &row.message_id)? {
        raise_ack(tx, device, &ack_row, raise, now)?;
    }
    // A receipt may have come first; then the level is unchanged and the row is still there.
    tx.outbox_remove(row.message_pk)?;
    Ok(())
}

/// Stores that a message was removed from this account while it was in the outbox. Its text is gone, so it
/// is not resent. `row` is the row before this attempt. An unsent message is given up; a message that may
/// have arrived stays for its receipts until its outcome has been unknown for too long.
pub(super) fn store_removed(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &OutboxRow,
    now: Millis,
) -> Result<(), StoreError> {
    match row.sending_since {
        None => store_given_up(tx, device, row, &taken_back(), now),
        Some(_) => Ok(()),
    }
}

/// The error of a message that was revoked or removed before it was sent.
pub(in crate::service) fn taken_back() -> SendError {
    SendError { code: "cancelled", message: "it was taken back before it was sent".to_owned() }
}
