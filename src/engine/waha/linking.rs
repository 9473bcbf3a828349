//! Creates, configures and starts the session at the server, and links it by a code where necessary.
//!
//! The server shows codes like the network: the first for 60 s, five more for 20 s each; then its session is
//! `FAILED`. A session that was linked and shows a code again was unlinked on the phone.

use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::client::{refusal, session_error};
use super::convert::event_in::EVENTS;
use super::convert::status_in::{self, Status};
use super::session::WahaSession;
use super::settings::InboundTransport;
use crate::domain::device::Account;
use crate::domain::reason::Reason;
use crate::engine::relay::client::UpstreamFailure;
use crate::engine::{EngineEvent, PairingCode, SessionEnd, SessionError};
use crate::net::Method;

/// The vault space of the session's state at the server.
pub(super) const SPACE: &str = "waha.session";
const LINKED: &str = "linked";
const CONFIGURED: &str = "configured";

const FIRST_CODE_VALID: Duration = Duration::from_secs(60);
const NEXT_CODE_VALID: Duration = Duration::from_secs(20);
const ALL_CODES_VALID: Duration = Duration::from_secs(60 + 5 * 20);
/// How often the status of a starting session is polled; events of the server come earlier.
const POLL_EVERY: Duration = Duration::from_millis(1_000);
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the server retries a webhook: after 2 s, 4 s, … for more than an hour.
const WEBHOOK_RETRIES: u32 = 12;

/// Waits until the session works, and shows codes if necessary; returns its account.
pub(super) async fn establish(session: &WahaSession) -> Result<Account, SessionEnd> {
    let mut description = session.context.answered(ensure_session(session).await)?;
    let mut progress =
        LinkProgress { code: None, has_started: false, deadline: Instant::now() + START_TIMEOUT };
    loop {
        if let Some(account) = progress.advance(session, &description).await? {
            end_codes(session);
            return Ok(account);
        }
        let _ = tokio::time::timeout(POLL_EVERY, session.status_changed.notified()).await;
        description = session.context.answered(describe(session).await)?;
    }
}

/// The server's description of the session.
async fn describe(session: &WahaSession) -> Result<Value, UpstreamFailure> {
    session.client.get(&["sessions", &session.settings.session], &[]).await
}

/// Checks that the session works.
///
/// # Errors
/// The end of the session, when the server's does not work.
pub(super) async fn ensure_working(session: &WahaSession) -> Result<(), SessionEnd> {
    let description = session.context.answered(describe(session).await)?;
    match status_in::status_of(&description) {
        Some(Status::Working) => Ok(()),
        Some(Status::Code) => {
            forget_link(session).await;
            Err(SessionEnd::LoggedOut(Reason::LoggedOutOnPhone))
        }
        Some(Status::Passkey) => Err(passkey_required(session)),
        _ => Err(SessionEnd::LinkLost(Reason::LinkDropped)),
    }
}

struct LinkProgress {
    /// The code that was delivered last.
    code: Option<String>,
    /// Whether this daemon started the session.
    has_started: bool,
    deadline: Instant,
}

impl LinkProgress {
    async fn advance(
        &mut self,
        session: &WahaSession,
        description: &Value,
    ) -> Result<Option<Account>, SessionEnd> {
        match status_in::status_of(description) {
            Some(Status::Working) => {
                if let Some(account) = status_in::account(description.get("me")) {
                    self.record_link(session, &account).await?;
                    return Ok(Some(account));
                }
            }
            Some(Status::Code) => {
                self.deadline = Instant::now() + START_TIMEOUT;
                if is_linked(session).await? {
                    forget_link(session).await;
                    return Err(SessionEnd::LoggedOut(Reason::LoggedOutOnPhone));
                }
                self.deliver_code(session).await?;
            }
            Some(Status::Failed | Status::Stopped) if self.code.is_some() => {
                return Err(SessionEnd::CodesExhausted);
            }
            Some(status @ (Status::Failed | Status::Stopped)) if !self.has_started => {
                self.has_started = true;
                let verb = if status == Status::Failed { "restart" } else { "start" };
                let path = ["sessions", session.settings.session.as_str(), verb];
                session.context.answered(session.client.call(Method::POST, &path, json!({})).await)?;
            }
            Some(Status::Failed) => return Err(SessionEnd::LinkLost(Reason::UpstreamUnavailable)),
            Some(Status::Passkey) => return Err(passkey_required(session)),
            Some(Status::Stopped | Status::Starting) | None => {}
        }
        if self.deadline <= Instant::now() {
            let status = status_in::loggable(description);
            tracing::warn!(device = %session.context.device, status, "the WAHA server's session did not start in time");
            return Err(SessionEnd::LinkLost(Reason::UpstreamUnavailable));
        }
        Ok(None)
    }

    async fn record_link(&self, session: &WahaSession, account: &Account) -> Result<(), SessionEnd> {
        if is_linked(session).await? {
            return Ok(());
        }
        if self.code.is_some() {
            session.context.deliver(EngineEvent::Scanned(account.clone())).await?;
        }
        session.context.stored(session.context.vault.put(SPACE, LINKED, Some(Vec::new())).await)
    }

    /// Delivers the current code, if it is a new one.
    async fn deliver_code(&mut self, session: &WahaSession) -> Result<(), SessionEnd> {
        let answer = match session.client.of_session(&["auth", "qr"], &[("format", "raw")]).await {
            // The code was scanned or expired just now: the next poll shows it.
            Err(failure) if failure.is_not_found() || refusal(&failure).is_some() => return Ok(()),
            answer => session.context.answered(answer)?,
        };
        let Some(code) = answer.get("value").and_then(Value::as_str).filter(|code| !code.is_empty()) else {
            return Ok(());
        };
        if self.code.as_deref() == Some(code) {
            return Ok(());
        }
        let valid = if self.code.is_none() { FIRST_CODE_VALID } else { NEXT_CODE_VALID };
        self.code = Some(code.to_owned());
        let valid_ms = i64::try_from(valid.as_millis()).unwrap_or(i64::MAX);
        // Before the event: a client that receives the code may ask for a pairing code at once.
        let until = Instant::now() + ALL_CODES_VALID;
        session.codes_until.lock().get_or_insert(until);
        session.context.deliver(EngineEvent::Code { code: code.to_owned(), valid_ms }).await
    }
}

/// The end of a session that waits for a passkey: a retry fails until the operator entered it.
fn passkey_required(session: &WahaSession) -> SessionEnd {
    tracing::warn!(
        device = %session.context.device,
        "the WAHA server's session waits for a passkey: enter it on the server's own page, then start the device"
    );
    SessionEnd::Fatal(Reason::UpstreamRefused)
}

/// Records that no more codes are shown.
pub(super) fn end_codes(session: &WahaSession) {
    session.codes_until.lock().take();
}

/// See [`crate::engine::Session::pairing_code`].
pub(super) async fn pairing_code(
    session: &WahaSession,
    phone_number: &str,
) -> Result<PairingCode, SessionError> {
    let refused = |why: &str| SessionError::Refused(why.to_owned());
    let until = *session.codes_until.lock();
    let until = until.ok_or_else(|| refused("the device does not wait for a phone now"))?;
    let body = json!({ "phoneNumber": phone_number });
    let answer = session.client.to_session(Method::POST, &["auth", "request-code"], body).await;
    let answer = answer.map_err(session_error)?;
    let code =
        answer.get("code").and_then(Value::as_str).ok_or_else(|| refused("the WAHA server gave no code"))?;
    let left = until.saturating_duration_since(Instant::now());
    Ok(PairingCode { code: code.to_owned(), valid_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX) })
}

/// Unlinks the session at the server and stops it. A session that does not exist is not linked.
pub(super) async fn log_out(session: &WahaSession) -> Result<(), SessionError> {
    let name = session.settings.session.as_str();
    match session.client.call(Method::POST, &["sessions", name, "logout"], json!({})).await {
        Ok(_) => {}
        Err(failure) if failure.is_not_found() => return Ok(()),
        Err(failure) => return Err(session_error(failure)),
    }
    // A log-out restarts a session that ran: without this it would show codes.
    if let Err(failure) = session.client.call(Method::POST, &["sessions", name, "stop"], json!({})).await {
        tracing::warn!(device = %session.context.device, error = %failure, "the WAHA server's session was not stopped");
    }
    Ok(())
}

/// Stores that the device is not linked.
pub(super) async fn forget_link(session: &WahaSession) {
    if let Err(error) = session.context.vault.put(SPACE, LINKED, None).await {
        tracing::warn!(device = %session.context.device, %error, "the unlinking of the device could not be stored");
    }
}

async fn is_linked(session: &WahaSession) -> Result<bool, SessionEnd> {
    Ok(session.context.stored(session.context.vault.get(SPACE, LINKED).await)?.is_some())
}

/// Creates or configures the session as necessary; returns its description.
async fn ensure_session(session: &WahaSession) -> Result<Value, UpstreamFailure> {
    let name = session.settings.session.as_str();
    let webhook = webhook(session);
    let digest = Sha256::digest(webhook.to_string().as_bytes()).to_vec();
    let config = match describe(session).await {
        Ok(description) => {
            let config = description.get("config").cloned().unwrap_or(Value::Null);
            let is_configured = is_configured(session, &digest).await;
            match corrected(&config, &webhook, &session.callback_url, is_configured) {
                None => return Ok(description),
                Some(config) => config,
            }
        }
        Err(failure) if failure.is_not_found() => {
            let config = corrected(&Value::Null, &webhook, &session.callback_url, false).unwrap_or(json!({}));
            let body = json!({ "name": name, "start": true, "config": config });
            let created = session.client.call(Method::POST, &["sessions"], body).await?;
            record_configuration(session, digest).await;
            return Ok(created);
        }
        Err(failure) => return Err(failure),
    };
    let body = json!({ "name": name, "config": config });
    let updated = session.client.call(Method::PUT, &["sessions", name], body).await?;
    record_configuration(session, digest).await;
    Ok(updated)
}

async fn is_configured(session: &WahaSession, digest: &[u8]) -> bool {
    let stored = session.context.vault.get(SPACE, CONFIGURED).await;
    matches!(stored, Ok(Some(stored)) if stored == digest)
}

/// Without this the session is configured again at the next start.
async fn record_configuration(session: &WahaSession, digest: Vec<u8>) {
    if let Err(error) = session.context.vault.put(SPACE, CONFIGURED, Some(digest)).await {
        tracing::warn!(device = %session.context.device, %error, "the configuration of the WAHA server's session could not be stored");
    }
}

/// Our webhook; `null` with a WebSocket.
fn webhook(session: &WahaSession) -> Value {
    match (session.settings.inbound, &session.settings.webhook_secret) {
        (InboundTransport::Webhook, Some(secret)) => json!({
            "url": session.callback_url,
            "events": EVENTS,
            "hmac": { "key": secret },
            "retries": { "policy": "exponential", "delaySeconds": 2, "attempts": WEBHOOK_RETRIES },
        }),
        _ => Value::Null,
    }
}

/// The configuration with our webhook, and everything else unchanged; `None` where it is correct. The server
/// may mask the secret, so only the stored digest (`is_configured`) shows whether it is ours.
fn corrected(config: &Value, webhook: &Value, url: &str, is_configured: bool) -> Option<Value> {
    let mut config: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
    let mut webhooks = config.get("webhooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_ours = |webhook: &Value| webhook.get("url").and_then(Value::as_str) == Some(url);
    let ours = webhooks.iter().filter(|webhook| is_ours(webhook)).count();
    let expected = usize::from(!webhook.is_null());
    if ours == expected && (is_configured || webhook.is_null()) {
        return None;
    }
    webhooks.retain(|webhook| !is_ours(webhook));
    if !webhook.is_null() {
        webhooks.push(webhook.clone());
    }
    config.insert("webhooks".to_owned(), Value::Array(webhooks));
    Some(Value::Object(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_keeps_everything_but_our_webhook() {
        let (ours, theirs) = (json!({ "url": "u", "events": [] }), json!({ "url": "other" }));
        let config = json!({ "metadata": { "a": 1 }, "webhooks": [theirs, { "url": "u", "events": ["x"] }] });
        let corrected_to = corrected(&config, &ours, "u", false).unwrap();
        assert_eq!(corrected_to, json!({ "metadata": { "a": 1 }, "webhooks": [theirs, ours] }));
        assert_eq!(corrected(&corrected_to, &ours, "u", true), None);
        assert_eq!(corrected(&Value::Null, &ours, "u", true), Some(json!({ "webhooks": [ours] })));
        assert_eq!(corrected(&corrected_to, &Value::Null, "u", true).unwrap()["webhooks"], json!([theirs]));
        assert_eq!(corrected(&json!({ "webhooks": [theirs] }), &Value::Null, "u", false), None);
    }
}
