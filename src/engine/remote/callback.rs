//! Callbacks of the upstream: webhooks in our own format, signed according to Standard Webhooks.
//!
//! A callback names an entry of the upstream's log and is answered when the log is ingested up to there.
//! Lost, late and repeated callbacks change nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::session::RemoteSession;
use crate::domain::clock::Millis;
use crate::engine::{Callback, CallbackAnswer, CallbackError, CallbackMethod};
use crate::net::standard_webhooks;

/// How far a callback's time may be from ours, in seconds.
const TOLERANCE_S: i64 = 300;
/// How long a callback waits for the log reader.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Verifies a callback, and answers it when its event is durable.
pub(super) async fn receive(
    session: Option<Arc<RemoteSession>>,
    secret: &str,
    upstream_device: &str,
    callback: Callback<'_>,
    now: Millis,
) -> Result<CallbackAnswer, CallbackError> {
    if callback.method != CallbackMethod::Post {
        return Err(CallbackError::NotTaken);
    }
    verify(secret, callback, now)?;
    let body: Value = serde_json::from_slice(callback.body)
        .map_err(|_| CallbackError::Invalid("the callback is not JSON".to_owned()))?;
    let event = &body["data"];
    if event["deviceId"].as_str().is_some_and(|device| device != upstream_device) {
        return Err(CallbackError::Invalid("the callback is about another device".to_owned()));
    }
    let taken = CallbackAnswer::Json(json!({ "taken": true }));
    // A test of the webhook has no entry.
    let Some(seq) = event["seq"].as_i64() else { return Ok(taken) };
    let not_running = || CallbackError::NotNow("the device is not running".to_owned());
    let session = session.filter(|session| session.base.is_open()).ok_or_else(not_running)?;
    let mut last_seq = session.last_seq.subscribe();
    session.wake_up.notify_one();
    tokio::select! {
        read = tokio::time::timeout(MAX_WAIT, last_seq.wait_for(|last| *last >= seq)) => match read {
            Ok(Ok(_)) => Ok(taken),
            _ => Err(CallbackError::NotNow("the event could not be read in time".to_owned())),
        },
        () = session.base.ended() => Err(not_running()),
    }
}

/// One of the signatures must match, and the time must be now.
fn verify(secret: &str, callback: Callback<'_>, now: Millis) -> Result<(), CallbackError> {
    let header = |name| callback.header(name).ok_or(CallbackError::Unauthorized);
    let (id, at, signatures) =
        (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    let seconds: i64 = at.parse().map_err(|_| CallbackError::Unauthorized)?;
    let age = now.0.div_euclid(1_000).saturating_sub(seconds).saturating_abs();
    let signed = standard_webhooks::is_signed(secret, id, at, callback.body, signatures);
    if signed && age <= TOLERANCE_S { Ok(()) } else { Err(CallbackError::Unauthorized) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NOW: Millis = Millis(1_614_265_330_000);

    fn checked(headers: &[(&str, &str)], body: &str, now: Millis) -> Result<(), CallbackError> {
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let callback =
            Callback { method: CallbackMethod::Post, query: &[], headers: &headers, body: body.as_bytes() };
        verify(SECRET, callback, now)
    }

    #[test]
    fn only_the_standard_vector_verifies() {
        let (id, at) = (("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("webhook-timestamp", "1614265330"));
        let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let body = r#"{"test": 2432232314}"#;
        let with = |signature| checked(&[id, at, ("webhook-signature", signature)], body, NOW);
        assert_eq!(with(right), Ok(()));
        let several = format!("v1,AAAA {right}");
        assert_eq!(with(&several), Ok(()));
        assert_eq!(with("v1,AAAA"), Err(CallbackError::Unauthorized));
        let other = right.replace("v1,", "v2,");
        assert_eq!(with(&other), Err(CallbackError::Unauthorized));
        assert_eq!(checked(&[id, at], body, NOW), Err(CallbackError::Unauthorized));
        let signed = [id, at, ("webhook-signature", right)];
        assert_eq!(checked(&signed, r#"{"test": 2432232315}"#, NOW), Err(CallbackError::Unauthorized));
        assert_eq!(checked(&signed, body, NOW.plus(301_000)), Err(CallbackError::Unauthorized));
        assert_eq!(checked(&signed, body, NOW.plus(-301_000)), Err(CallbackError::Unauthorized));
    }
}
