//! The session at the server: made, set up and started as needed, and linked by a code where it is not.
//!
//! The server makes the codes as the network does: the first for 60 s, five more for 20 s each; then its session ends
//! as `FAILED`. A session that was linked and shows a code again was unlinked on the phone.

use std::sync::PoisonError;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::client::Failure;
use super::convert::event_in::EVENTS;
use super::convert::status_in::{self, Status};
use super::session::{WahaSession, ended};
use super::settings::Way;
use crate::domain::device::Account;
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, PairingCode, SessionEnd, SessionError};
use crate::net::Method;

/// Where the vault says what was done at the server.
pub(super) const SPACE: &str = "waha.session";
const LINKED: &str = "linked";
const CONFIGURED: &str = "configured";

const FIRST_VALID: Duration = Duration::from_secs(60);
const NEXT_VALID: Duration = Duration::from_secs(20);
/// How long codes are shown in all.
const ALL_VALID: Duration = Duration::from_secs(60 + 5 * 20);
/// How often a session that is on its way is looked at; its events wake us earlier.
const LOOK: Duration = Duration::from_millis(1_000);
/// How long it may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
/// How the server is to try webhooks again: 2 s, 4 s, … until more than an hour is over.
const RETRIES: u32 = 12;

/// Waits until the session works, showing codes if need be; answers whose it is.
pub(super) async fn linked(session: &WahaSession) -> Result<Account, SessionEnd> {
    let mut described = ensured(session).await.map_err(|failure| ended(&session.device, &failure))?;
    let mut progress = Progress { shown: None, started: false, until: Instant::now() + STARTS_WITHIN };
    loop {
        if let Some(account) = progress.step(session, &described).await? {
            over(session);
            return Ok(account);
        }
        let _ = tokio::time::timeout(LOOK, session.changed.notified()).await;
        described = look(session).await.map_err(|failure| ended(&session.device, &failure))?;
    }
}

/// The session as the server describes it.
pub(super) async fn look(session: &WahaSession) -> Result<Value, Failure> {
    session.client.get(&["sessions", &session.settings.session], &[]).await
}

/// How far it is.
struct Progress {
    /// The code that was told last.
    shown: Option<String>,
    /// Whether the session was started here.
    started: bool,
    /// Until when it must have started.
    until: Instant,
}

impl Progress {
    async fn step(
        &mut self,
        session: &WahaSession,
        described: &Value,
    ) -> Result<Option<Account>, SessionEnd> {
        match status_in::told(described) {
            Some(Status::Working) => {
                if let Some(account) = status_in::account(described.get("me")) {
                    self.works(session, &account).await?;
                    return Ok(Some(account));
                }
            }
            Some(Status::Code) => {
                self.until = Instant::now() + STARTS_WITHIN;
                if is_linked(session).await? {
                    forget(session).await;
                    return Err(SessionEnd::LoggedOut(Reason::LoggedOutOnPhone));
                }
                self.show(session).await?;
            }
            Some(Status::Failed | Status::Stopped) if self.shown.is_some() => {
                return Err(SessionEnd::CodesExhausted);
            }
            Some(Status::Failed | Status::Stopped) if !self.started => {
                self.started = true;
                let restarts = status_in::told(described) == Some(Status::Failed);
                let verb = if restarts { "restart" } else { "start" };
                let path = ["sessions", session.settings.session.as_str(), verb];
                let started = session.client.call(Method::POST, &path, json!({})).await;
                started.map_err(|failure| ended(&session.device, &failure))?;
            }
            Some(Status::Failed) => return Err(SessionEnd::LinkLost(Reason::UpstreamUnavailable)),
            Some(Status::Passkey) => return Err(passkey(session)),
            Some(Status::Stopped | Status::Starting) | None => {}
        }
        if self.until <= Instant::now() {
            let state = status_in::shown(described);
            tracing::warn!(device = %session.device, state, "the WAHA server's session did not start in time");
            return Err(SessionEnd::LinkLost(Reason::UpstreamUnavailable));
        }
        Ok(None)
    }

    async fn works(&self, session: &WahaSession, account: &Account) -> Result<(), SessionEnd> {
        if !is_linked(session).await? {
            if self.shown.is_some() {
                session.tell(EngineEvent::Scanned(account.clone())).await?;
            }
            note(session, LINKED, Vec::new()).await?;
        }
        Ok(())
    }

    /// Tells the code where it is another than before.
    async fn show(&mut self, session: &WahaSession) -> Result<(), SessionEnd> {
        let answer = match session.client.of_session(&["auth", "qr"], &[("format", "raw")]).await {
            Ok(answer) => answer,
            // It was scanned or ended just now: the next look tells.
            Err(Failure::Refused { .. } | Failure::Unknowing) => return Ok(()),
            Err(failure) => return Err(ended(&session.device, &failure)),
        };
        let Some(code) = answer.get("value").and_then(Value::as_str).filter(|code| !code.is_empty()) else {
            return Ok(());
        };
        if self.shown.as_deref() == Some(code) {
            return Ok(());
        }
        let valid = if self.shown.is_none() { FIRST_VALID } else { NEXT_VALID };
        self.shown = Some(code.to_owned());
        let valid_ms = i64::try_from(valid.as_millis()).unwrap_or(i64::MAX);
        // Before it is told: whoever sees the code may ask for one to type at once.
        let until = Instant::now() + ALL_VALID;
        session.linking.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(until);
        session.tell(EngineEvent::Code { code: code.to_owned(), valid_ms }).await
    }
}

/// How a session ends that waits for a passkey: asking again changes nothing before somebody gave it.
pub(super) fn passkey(session: &WahaSession) -> SessionEnd {
    tracing::warn!(
        device = %session.device,
        "the WAHA server's session waits for a passkey: give it on the server's own page, then start the device"
    );
    SessionEnd::Fatal(Reason::UpstreamRefused)
}

/// Codes are shown no more.
pub(super) fn over(session: &WahaSession) {
    session.linking.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// A code to type on the phone.
pub(super) async fn pairing_code(
    session: &WahaSession,
    phone_number: &str,
) -> Result<PairingCode, SessionError> {
    let refused = |why: &str| SessionError::Refused(why.to_owned());
    let until = *session.linking.lock().unwrap_or_else(PoisonError::into_inner);
    let until = until.ok_or_else(|| refused("the device does not wait for a phone now"))?;
    let asked = json!({ "phoneNumber": phone_number });
    let answer = session.client.to_session(Method::POST, &["auth", "request-code"], asked).await?;
    let code =
        answer.get("code").and_then(Value::as_str).ok_or_else(|| refused("the WAHA server gave no code"))?;
    let left = until.saturating_duration_since(Instant::now());
    Ok(PairingCode { code: code.to_owned(), valid_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX) })
}

/// Unlinks at the server, and leaves its session at rest there. What is not there is not linked.
pub(super) async fn log_out(session: &WahaSession) -> Result<(), SessionError> {
    let name = session.settings.session.as_str();
    match session.client.call(Method::POST, &["sessions", name, "logout"], json!({})).await {
        Ok(_) => {}
        Err(Failure::Unknowing) => return Ok(()),
        Err(failure) => return Err(failure.into()),
    }
    // A log-out starts a session again that ran; it would show codes to nobody.
    if let Err(failure) = session.client.call(Method::POST, &["sessions", name, "stop"], json!({})).await {
        tracing::warn!(device = %session.device, error = %failure, "the WAHA server's session was not stopped");
    }
    Ok(())
}

/// Forgets that it was linked.
pub(super) async fn forget(session: &WahaSession) {
    if let Err(error) = session.vault.put(SPACE, LINKED, None).await {
        tracing::warn!(device = %session.device, %error, "it could not be noted that the device is not linked");
    }
}

async fn is_linked(session: &WahaSession) -> Result<bool, SessionEnd> {
    let noted = session.vault.get(SPACE, LINKED).await.map_err(|error| vault_failed(session, &error))?;
    Ok(noted.is_some())
}

async fn note(session: &WahaSession, key: &str, value: Vec<u8>) -> Result<(), SessionEnd> {
    session.vault.put(SPACE, key, Some(value)).await.map_err(|error| vault_failed(session, &error))
}

fn vault_failed(session: &WahaSession, error: &crate::engine::VaultError) -> SessionEnd {
    tracing::warn!(device = %session.device, %error, "what was done at the WAHA server could not be noted or read");
    SessionEnd::LinkLost(Reason::EngineError)
}

/// The session, made or set up anew where it is not as it must be.
async fn ensured(session: &WahaSession) -> Result<Value, Failure> {
    let name = session.settings.session.as_str();
    let wanted = webhook(session);
    let mark = Sha256::digest(wanted.to_string().as_bytes()).to_vec();
    let config = match look(session).await {
        Ok(described) => {
            let config = described.get("config").cloned().unwrap_or(Value::Null);
            match corrected(&config, &wanted, &session.callback_url, is_configured(session, &mark).await) {
                None => return Ok(described),
                Some(config) => config,
            }
        }
        Err(Failure::Unknowing) => {
            let config = corrected(&Value::Null, &wanted, &session.callback_url, false).unwrap_or(json!({}));
            let made = json!({ "name": name, "start": true, "config": config });
            let made = session.client.call(Method::POST, &["sessions"], made).await?;
            configured(session, mark).await;
            return Ok(made);
        }
        Err(failure) => return Err(failure),
    };
    let updated = json!({ "name": name, "config": config });
    let described = session.client.call(Method::PUT, &["sessions", name], updated).await?;
    configured(session, mark).await;
    Ok(described)
}

async fn is_configured(session: &WahaSession, mark: &[u8]) -> bool {
    matches!(session.vault.get(SPACE, CONFIGURED).await, Ok(Some(noted)) if noted == mark)
}

/// Notes how the session was set up; without it, it is set up again at the next start.
async fn configured(session: &WahaSession, mark: Vec<u8>) {
    if let Err(error) = session.vault.put(SPACE, CONFIGURED, Some(mark)).await {
        tracing::warn!(device = %session.device, %error, "how the WAHA server's session was set up could not be noted");
    }
}

/// Our webhook; none where a WebSocket is used.
fn webhook(session: &WahaSession) -> Value {
    match (session.settings.inbound, &session.settings.webhook_secret) {
        (Way::Webhook, Some(secret)) => json!({
            "url": session.callback_url,
            "events": EVENTS,
            "hmac": { "key": secret },
            "retries": { "policy": "exponential", "delaySeconds": 2, "attempts": RETRIES },
        }),
        _ => Value::Null,
    }
}

/// A session's configuration with our webhook in it, and all else as it is; `None` where it is so already. Whether it
/// has our secret is known only from what was `noted` here: the server may show another text in its place.
fn corrected(config: &Value, wanted: &Value, url: &str, noted: bool) -> Option<Value> {
    let mut config: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
    let mut webhooks = config.get("webhooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_ours = |webhook: &Value| webhook.get("url").and_then(Value::as_str) == Some(url);
    let there = webhooks.iter().filter(|webhook| is_ours(webhook)).count();
    let expected = usize::from(!wanted.is_null());
    if there == expected && (noted || wanted.is_null()) {
        return None;
    }
    webhooks.retain(|webhook| !is_ours(webhook));
    if !wanted.is_null() {
        webhooks.push(wanted.clone());
    }
    config.insert("webhooks".to_owned(), Value::Array(webhooks));
    Some(Value::Object(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_all_but_our_webhook() {
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
