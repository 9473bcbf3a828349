//! `scan` and `pair`: the account's phone scans a QR code, or a pairing code is typed on it.
//!
//! The request is answered when the daemon has the account, or the network's request for a passkey.

use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::request::{ACK_WAIT, impossible, invalid, not_acknowledged};
use crate::domain::device::Account;
use crate::engine::simulator::device::{Device, Scan};
use crate::engine::simulator::fields::Fields;
use crate::engine::simulator::pairing_codes::ScanError;
use crate::engine::{ControlError, SettingError};

const MAX_NAME: usize = 100;
const MAX_QR: usize = 1_024;
const MAX_CODE: usize = 32;

/// Scans the QR code that is shown.
pub(super) async fn scan(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["qr", "phoneNumber", "clientName"]).map_err(invalid)?;
    let qr = fields.text("qr", MAX_QR).map_err(invalid)?;
    let (done, scanned) = oneshot::channel();
    let scan = Scan {
        phone_number: phone_number(&fields).map_err(invalid)?,
        client_name: fields.text("clientName", MAX_NAME).map_err(invalid)?.map(str::to_owned),
        done: Some(done),
    };
    device.scan(|codes| codes.scan(qr, scan, Instant::now())).map_err(|error| match error {
        ScanError::NoCode => impossible("no_qr", "the device shows no QR code now"),
        ScanError::Expired => impossible("qr_expired", "this QR code is no longer valid"),
        ScanError::Unknown => impossible("qr_unknown", "this is not the QR code that the device shows"),
    })?;
    wait_for_account(scanned).await
}

/// Types a pairing code.
pub(super) async fn pair(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["code", "clientName"]).map_err(invalid)?;
    let code =
        fields.text("code", MAX_CODE).and_then(|code| fields.required("code", code)).map_err(invalid)?;
    let (done, typed) = oneshot::channel();
    let scan = Scan {
        phone_number: None,
        client_name: fields.text("clientName", MAX_NAME).map_err(invalid)?.map(str::to_owned),
        done: Some(done),
    };
    device.scan(|codes| codes.type_code(code, scan, Instant::now())).map_err(|error| match error {
        ScanError::Expired => impossible("pairing_code_expired", "this pairing code is no longer valid"),
        ScanError::NoCode | ScanError::Unknown => {
            impossible("pairing_code_unknown", "this is not the pairing code that the device shows")
        }
    })?;
    wait_for_account(typed).await
}

/// Waits until the daemon has the account.
async fn wait_for_account(account: oneshot::Receiver<Account>) -> Result<Value, ControlError> {
    match timeout(ACK_WAIT, account).await {
        Ok(Ok(account)) => serde_json::to_value(account).map_err(|_| ControlError::Storage),
        Ok(Err(_)) | Err(_) => Err(not_acknowledged()),
    }
}

fn phone_number(fields: &Fields<'_>) -> Result<Option<String>, SettingError> {
    match fields.jid("phoneNumber")? {
        None => Ok(None),
        Some(jid) => match jid.phone() {
            Some(phone) => Ok(Some(phone.to_owned())),
            None => Err(fields.wrong("phoneNumber", "must be a phone number such as +15550100001")),
        },
    }
}
