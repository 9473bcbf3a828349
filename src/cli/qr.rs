//! `wharf devices qr`: shows the QR code in the terminal, and waits until it is scanned.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::client::{Client, ClientError};
use super::devices::reason_text;
use super::exit::CliError;
use super::output::{Output, text_of};
use crate::domain::clock::Clock;
use crate::domain::ids::DeviceId;
use crate::qr;

/// `wharf devices qr`
#[derive(Debug, Args)]
pub struct QrArgs {
    /// The device's id
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Draw each new code until the device is linked
    #[arg(long, short)]
    pub watch: bool,
}

pub(super) const EXAMPLES: &str = "\
On the phone: WhatsApp, Settings, Linked devices, Link a device. The first code is valid for 60 seconds,
the next five for 20 seconds each; after that start the device again: wharf devices start DEVICE

Exit code 6 means that the device does not wait for a scan; the message says where it is instead.

Examples:
  wharf devices qr shop --watch
  wharf devices qr shop --json";

/// Maximum wait for a device's first code.
const PATIENCE: Duration = Duration::from_secs(15);
const WATCH_PAUSE: Duration = Duration::from_secs(1);
const WAIT_PAUSE: Duration = Duration::from_millis(200);
/// Maximum consecutive failures while watching, such as during a restart of the daemon.
const MAX_FAILURES: u32 = 10;

/// State of a device with regard to scanning.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// The device has a code.
    Waiting,
    /// A code will follow soon, or was just scanned.
    Soon,
    /// The network asks for a passkey.
    Passkey,
    /// The account is linked.
    Linked,
    /// No code until the device is started.
    Ended,
}

fn phase(status: &Value) -> Phase {
    match text_of(status, "state").as_str() {
        "qr" => Phase::Waiting,
        "created" | "connecting" | "pairing" => Phase::Soon,
        "passkey" => Phase::Passkey,
        "ready" | "reconnecting" => Phase::Linked,
        _ => Phase::Ended,
    }
}

/// Shows the code once, or each code until the device is linked.
///
/// # Errors
/// [`CliError::WrongState`] when no code will follow; otherwise the daemon's error.
pub async fn run(args: &QrArgs, client: &Client, clock: &dyn Clock, out: &Output) -> Result<(), CliError> {
    if args.watch {
        watch(&args.device, client, clock, out).await
    } else {
        once(&args.device, client, clock, out).await
    }
}

async fn status(device: &DeviceId, client: &Client) -> Result<Value, ClientError> {
    client.get(&["devices", device.as_str(), "status"], &[]).await
}

/// Returns `None` when the code expired between two requests.
async fn code(device: &DeviceId, client: &Client) -> Result<Option<Value>, ClientError> {
    match client.get(&["devices", device.as_str(), "qr"], &[]).await {
        Ok(code) => Ok(Some(code)),
        Err(ClientError::Refused { code, .. }) if code == "no_qr" => Ok(None),
        Err(error) => Err(error),
    }
}

async fn once(device: &DeviceId, client: &Client, clock: &dyn Clock, out: &Output) -> Result<(), CliError> {
    let begin = Instant::now();
    loop {
        let status = status(device, client).await?;
        match phase(&status) {
            Phase::Waiting => {
                if let Some(code) = code(device, client).await? {
                    return draw(device, &code, client, clock, out);
                }
            }
            Phase::Soon if begin.elapsed() < PATIENCE => {}
            Phase::Soon => {
                return Err(CliError::WrongState(format!(
                    "{device} has no code yet (state: {})",
                    text_of(&status, "state")
                )));
            }
            Phase::Passkey => return Err(CliError::WrongState(passkey_needed(device))),
            Phase::Linked => return Err(CliError::WrongState(linked(device, &status))),
            Phase::Ended => return Err(CliError::WrongState(ended(device, &status))),
        }
        sleep(WAIT_PAUSE).await;
    }
}

async fn watch(device: &DeviceId, client: &Client, clock: &dyn Clock, out: &Output) -> Result<(), CliError> {
    let mut shown = String::new();
    let mut failures = 0;
    loop {
        match step(device, client, clock, out, &mut shown).await {
            Ok(true) => return Ok(()),
            Ok(false) => failures = 0,
            Err(CliError::Client(error))
                if error.is_passing() && !shown.is_empty() && failures < MAX_FAILURES =>
            {
                failures += 1;
            }
            Err(error) => return Err(error),
        }
        sleep(WATCH_PAUSE).await;
    }
}

/// Polls the device once; returns whether it is linked.
async fn step(
    device: &DeviceId,
    client: &Client,
    clock: &dyn Clock,
    out: &Output,
    shown: &mut String,
) -> Result<bool, CliError> {
    let status = status(device, client).await?;
    match phase(&status) {
        Phase::Linked => {
            out.line(&status, || linked(device, &status))?;
            return Ok(true);
        }
        Phase::Passkey => return Err(CliError::WrongState(passkey_needed(device))),
        Phase::Ended => return Err(CliError::WrongState(ended(device, &status))),
        Phase::Soon => return Ok(false),
        Phase::Waiting => {}
    }
    let Some(code) = code(device, client).await? else {
        return Ok(false);
    };
    let content = code.get("qr").and_then(Value::as_str).unwrap_or_default();
    if content != shown {
        content.clone_into(shown);
        out.clear()?;
        draw(device, &code, client, clock, out)?;
    }
    Ok(false)
}

fn draw(
    device: &DeviceId,
    code: &Value,
    client: &Client,
    clock: &dyn Clock,
    out: &Output,
) -> Result<(), CliError> {
    if out.is_json() {
        return out.line(code, String::new);
    }
    let content = code.get("qr").and_then(Value::as_str).unwrap_or_default();
    out.text(&qr::terminal(content)?)?;
    out.note(&caption(device, code, clock.now().0));
    let needed = qr::columns(content)?;
    if out.columns().is_some_and(|columns| columns < needed) {
        out.note(&format!(
            "This terminal is narrower than the {needed} columns that the code needs: widen it, or fetch the picture at\n\
             {}/api/v1/devices/{device}/qr.png",
            client.shown_url()
        ));
    }
    Ok(())
}

fn caption(device: &DeviceId, code: &Value, now: i64) -> String {
    let left = code.get("expiresAt").and_then(Value::as_i64).map(|end| (end - now).max(0).div_euclid(1_000));
    let left = left.map(|seconds| format!(", valid for {seconds} s")).unwrap_or_default();
    let attempt = text_of(code, "attempt");
    let attempt = if attempt.is_empty() { attempt } else { format!(", code {attempt} of 6") };
    format!("Scan with the phone that {device} shall be linked to{attempt}{left}.")
}

fn linked(device: &DeviceId, status: &Value) -> String {
    let phone = text_of(status, "phoneNumber");
    let phone = if phone.is_empty() { phone } else { format!(" to {phone}") };
    format!("{device} is linked{phone} (state: {})", text_of(status, "state"))
}

fn passkey_needed(device: &DeviceId) -> String {
    format!("the account of {device} needs a passkey\nContinue: wharf devices passkey {device}")
}

fn ended(device: &DeviceId, status: &Value) -> String {
    let reason = reason_text(status);
    let reason = if reason.is_empty() { reason } else { format!(", {reason}") };
    format!(
        "{device} has no code to scan (state: {}{reason})\nStart it: wharf devices start {device}",
        text_of(status, "state")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn device_states_map_to_linking_phases() {
        for (state, expected) in [
            ("qr", Phase::Waiting),
            ("connecting", Phase::Soon),
            ("pairing", Phase::Soon),
            ("passkey", Phase::Passkey),
            ("ready", Phase::Linked),
            ("stopped", Phase::Ended),
            ("logged_out", Phase::Ended),
            ("failed", Phase::Ended),
        ] {
            assert_eq!(phase(&json!({ "state": state })), expected, "{state}");
        }
    }

    #[test]
    fn qr_caption_counts_down() {
        let device: DeviceId = "demo".parse().unwrap();
        let text = caption(&device, &json!({ "expiresAt": 61_500, "attempt": 2 }), 1_000);
        assert_eq!(text, "Scan with the phone that demo shall be linked to, code 2 of 6, valid for 60 s.");
    }
}
