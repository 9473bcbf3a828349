//! The state of a session, and whose it is.

use serde_json::Value;

use crate::domain::device::Account;
use crate::domain::jid::Jid;

/// A session's state at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Status {
    /// At rest.
    Stopped,
    /// On its way.
    Starting,
    /// Waits for a passkey, which only the server's own page can give.
    Passkey,
    /// Shows codes.
    Code,
    /// Linked and connected.
    Working,
    /// Ended by a failure, or because no code was scanned.
    Failed,
}

/// Reads a state.
pub(in super::super) fn status(text: &str) -> Option<Status> {
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

/// The state in a session's description or in a `session.status` event.
pub(in super::super) fn told(described: &Value) -> Option<Status> {
    described.get("status").and_then(Value::as_str).and_then(status)
}

/// A state as it may be shown in a log: also one that is not known.
pub(in super::super) fn shown(described: &Value) -> String {
    const LONGEST: usize = 40;
    let state = described.get("status").and_then(Value::as_str).unwrap_or("none");
    state.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(LONGEST).collect()
}

/// Whose session it is, once it is linked.
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
    fn states_and_accounts_are_read() {
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
            assert_eq!(told(&json!({ "status": text })), is);
        }
        let me = json!({ "id": "15550100009@c.us", "pushName": "Shop" });
        let account = account(Some(&me)).unwrap();
        assert_eq!((account.phone_number.as_str(), account.client_name.as_str()), ("15550100009", "Shop"));
    }
}
