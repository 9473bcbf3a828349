//! How a message's stay in the outbox ends, in the transaction that writes it.

use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::message::SendFailure;
use crate::engine::SendError;
use crate::service::messaging::ingest::{AckUpdate, raise_ack};
use crate::store::outbox::OutboxRow;
use crate::store::{StoreError, Tx};

/// The network has it.
pub(super) fn store_sent(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &OutboxRow,
    participants: &[Jid],
    now: Millis,
) -> Result<(), StoreError> {
    let mut participants = participants.to_vec();
    tx.settle(device, &mut participants)?;
    for participant in &participants {
        tx.merge_receipt(row.message_pk, participant, Ack::Server, now)?;
    }
    raise(tx, device, row, &AckUpdate { level: Ack::Server, failure: None, reader: None }, now)?;
    // Members whose receipts were faster than the network's answer count only now that all are known.
    let receipts = tx.receipts(row.message_pk)?;
    match Ack::of_group(receipts.into_iter().map(|receipt| receipt.ack)) {
        Some(level) if row.entry.chat.is_group() && level > Ack::Server => {
            raise(tx, device, row, &AckUpdate { level, failure: None, reader: None }, now)
        }
        _ => Ok(()),
    }
}

/// Fails everything that waits: it must not leave from another account, or wait for nobody. `code` and
/// `what_happened` ("the device was …") are for what never left; the rest may have arrived.
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

/// As [`store_failed`], but no failure of the device: somebody wanted it so, or it may well have arrived.
pub(in crate::service) fn store_given_up(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &OutboxRow,
    error: &SendError,
    now: Millis,
) -> Result<(), StoreError> {
    // Taken out first: what is not in the outbox is not counted.
    tx.outbox_remove(row.message_pk)?;
    store_failed(tx, device, row, error, now)
}

/// It will not be sent any more.
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
    // Also when a receipt was faster and the level stays as it is.
    tx.outbox_remove(row.message_pk)?;
    Ok(())
}

/// A message that was removed from this account while it was in the outbox; its text is gone, so that it is
/// not sent again. `row` is as it was before this try: one that never left is given up, and one that may have
/// arrived stays for its receipts, until its outcome has been unknown for too long.
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

/// Why a message is not sent that somebody took back while it waited.
pub(in crate::service) fn taken_back() -> SendError {
    SendError { code: "cancelled", message: "it was taken back before it was sent".to_owned() }
}
