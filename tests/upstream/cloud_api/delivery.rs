//! Posts callbacks: signed, and repeated until they are answered 200.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::State;
use super::number::{GraphFault, Number};

/// The first and the longest pause before a callback is repeated.
const PAUSE: Duration = Duration::from_millis(30);
const LONGEST: Duration = Duration::from_millis(1_000);

/// The body of a callback for one number.
pub fn envelope(number: &Number, field: &str, mut value: Value) -> Value {
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] = json!({ "display_phone_number": super::callbacks::display_number(number), "phone_number_id": number.id });
    let change = json!({ "field": field, "value": value });
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "102290129340398", "changes": [change] }] })
}

/// Posts a callback until it is answered 200.
pub async fn until_taken(state: &State, number: &Number, field: &str, value: Value) {
    let body = envelope(number, field, value);
    let bytes = body.to_string().into_bytes();
    let mut pause = PAUSE;
    while once(state, number, bytes.clone(), None).await != 200 {
        tokio::select! {
            () = number.again.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST);
    }
    number.taken.lock().unwrap().push(body);
    if number.take_fault(|fault| *fault == GraphFault::Twice).is_some() {
        once(state, number, bytes, None).await;
    }
}

/// Posts a callback once; returns the status, or 0 without an answer. An empty `signature` omits the header.
pub async fn once(state: &State, number: &Number, bytes: Vec<u8>, signature: Option<&str>) -> u16 {
    let Some(daemon) = state.daemon() else { return 0 };
    let header = signature.map_or_else(|| sign(&number.app_secret, &bytes), str::to_owned);
    let url = format!("{daemon}/hooks/{}", number.device);
    let mut request = state.http.post(url).header("content-type", "application/json").body(bytes);
    if !header.is_empty() {
        request = request.header("x-hub-signature-256", header);
    }
    request.timeout(Duration::from_secs(30)).send().await.map_or(0, |answer| answer.status().as_u16())
}

/// The signature header for a body.
pub fn sign(secret: &str, bytes: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(bytes);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}
