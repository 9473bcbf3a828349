//! Converts the status and the account of a session.

use serde_json::Value;

use crate::domain::device::Account;
use crate::domain::jid::Jid;

/// A session's status at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Status {
    Stopped,
    Starting,
    /// Waits for a passkey, which is entered on the server's own page.
    Passkey,
    Code,
    Working,
    /// SessionEnd by a failure, or all codes expired.
    Failed,
}

/// Converts a status.
fn status(text: &str) -> Option<Status> {
    match text {
        "STOPPED" => Some(Status::Stopped),
        "STARTING" => Some(Status::Starting),
        "PASSKEY_REQUIRED" | "PASSKEY_CONFIRMATION_REQUIRED" => Some(Status::Passkey),
        "SCAN_QR_CODE" => Some(Status::Code),
        "WORKING" => Some(Status::Working),
        "FAILED" => Some(Status::Failed),
        _ => None,
    }
}

/// The status in a session's description.
pub(in super::super) fn status_of(description: &Value) -> Option<Status> {
    description.get("status").and_then(Value::as_str).and_then(status)
}

/// A status that is safe to log, also an unknown one.
pub(in super::super) fn loggable(description: &Value) -> String {
    const MAX_CHARS: usize = 40;
    let state = description.get("status").and_then(Value::as_str).unwrap_or("none");
    state.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(MAX_CHARS).collect()
}

/// The account of a linked session.
pub(in super::super) fn account(me: Option<&Value>) -> Option<Account> {
    let me = me?;
    let id: Jid = super::ids::jid(me.get("id"))?;
    let phone_number = id.phone()?.to_owned();
    let name = me.get("pushName").and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty());
    let client_name = name.map_or_else(|| format!("+{phone_number}"), str::to_owned);
    Some(Account { phone_number, client_name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn status_and_account_are_read() {
        for (text, is) in [
            ("STOPPED", Some(Status::Stopped)),
            ("STARTING", Some(Status::Starting)),
            ("PASSKEY_REQUIRED", Some(Status::Passkey)),
            ("PASSKEY_CONFIRMATION_REQUIRED", Some(Status::Passkey)),
            ("SCAN_QR_CODE", Some(Status::Code)),
            ("WORKING", Some(Status::Working)),
            ("FAILED", Some(Status::Failed)),
            ("DREAMING", None),
        ] {
            assert_eq!(status_of(&json!({ "status": text })), is);
        }
        let me = json!({ "id": "15550100009@c.us", "pushName": "Shop" });
        let account = account(Some(&me)).unwrap();
        assert_eq!((account.phone_number.as_str(), account.client_name.as_str()), ("15550100009", "Shop"));
    }
}
