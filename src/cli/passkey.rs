//! `wharf devices passkey`: links a device whose account needs a passkey.
//! A browser signs on the network's page, with the extension or with a script in its console.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::client::{Client, ClientError};
use super::devices::reason_text;
use super::exit::CliError;
use super::output::{Output, text_of};
use super::time_format::time_of_day;
use crate::domain::ids::DeviceId;
use crate::domain::passkey::MAX_RESPONSE_BYTES;

/// `wharf devices passkey`
#[derive(Debug, Args)]
pub struct PasskeyArgs {
    /// The device's id
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Print the script for the console of the network's page, instead of the link for the extension
    #[arg(long, conflicts_with_all = ["response", "confirm", "cancel"])]
    pub script: bool,

    /// Read the response of the script from standard input
    #[arg(long, conflicts_with_all = ["confirm", "cancel"])]
    pub response: bool,

    /// Confirm this code without a question, after comparing it with the phone
    #[arg(long, value_name = "CODE", conflicts_with = "cancel")]
    pub confirm: Option<String>,

    /// Cancel the attempt; the device stops
    #[arg(long)]
    pub cancel: bool,
}

pub(super) const EXAMPLES: &str = "\
Some accounts are protected by a passkey. After the scan a browser signs with it, on https://web.whatsapp.com:
with the extension (SERVER/passkey-extension.zip), or with a script in the console. The phone then shows a code.

Examples:
  wharf devices passkey shop
  wharf devices passkey shop --script > sign.js
  wharf devices passkey shop --response < response.json
  wharf devices passkey shop --confirm ABCD-1234";

/// The script; the options replace the placeholder.
const SCRIPT: &str = include_str!("../../assets/passkey-extension/console.js");
const PLACEHOLDER: &str = "__WHARF_PASSKEY_OPTIONS__";
const PAUSE: Duration = Duration::from_millis(500);

/// Shows the pending step, and follows the attempt until the device is linked or the attempt has ended.
///
/// # Errors
/// [`CliError::WrongState`] when the attempt ended without a link; otherwise the daemon's error.
pub async fn run(args: &PasskeyArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let device = &args.device;
    if args.cancel {
        let stopped = client.post(&path(device, Some("cancel")), &json!({})).await?;
        return out.show(&stopped, || format!("{device}: cancelled"));
    }
    let step = client.get(&path(device, None), &[]).await?;
    if args.script {
        return out.text(&script(&step)?);
    }
    if args.response {
        let response = standard_input()?;
        client.post(&path(device, Some("response")), &response).await?;
        out.note("The network has the signature.");
    } else if text_of(&step, "stage") == "signature" {
        if args.confirm.is_some() {
            return Err(CliError::WrongState(format!(
                "{device} has no code yet: it waits for the signature"
            )));
        }
        show_link(device, &step, client, out).await?;
    }
    follow(args, client, out).await
}

/// Waits for the code, has it confirmed, and waits for the link.
async fn follow(args: &PasskeyArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let device = &args.device;
    let mut confirmed = false;
    loop {
        match client.get(&path(device, None), &[]).await {
            Ok(step) if text_of(&step, "stage") == "confirmation" && !confirmed => {
                let Some(code) = compared(args, &step, out)? else {
                    client.post(&path(device, Some("cancel")), &json!({})).await?;
                    return Err(CliError::Failed("cancelled; the device has stopped".to_owned()));
                };
                client.post(&path(device, Some("confirm")), &json!({ "code": code })).await?;
                confirmed = true;
            }
            Ok(_) => {}
            Err(ClientError::Refused { code, .. }) if code == "no_passkey_pending" => {
                let status = client.get(&["devices", device.as_str(), "status"], &[]).await?;
                let state = text_of(&status, "state");
                match state.as_str() {
                    "ready" => return out.show(&status, || format!("{device} is linked")),
                    "connecting" | "pairing" => {}
                    _ => {
                        let reason = reason_text(&status);
                        let reason = if reason.is_empty() { reason } else { format!(", {reason}") };
                        return Err(CliError::WrongState(format!(
                            "{device} was not linked: {state}{reason}"
                        )));
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
        sleep(PAUSE).await;
    }
}

/// The code that the person compared; `None` if the phone shows another one.
fn compared(args: &PasskeyArgs, step: &Value, out: &Output) -> Result<Option<String>, CliError> {
    if let Some(code) = &args.confirm {
        return Ok(Some(code.clone()));
    }
    let code = text_of(step, "code");
    match out.confirm(&format!("The phone shows a code. Is it {code}? (No cancels the link.)"))? {
        Some(true) => Ok(Some(code)),
        Some(false) => Ok(None),
        None => Err(CliError::Usage(format!(
            "compare the code {code} with the phone, then run: wharf devices passkey {} --confirm {code}",
            args.device
        ))),
    }
}

async fn show_link(device: &DeviceId, step: &Value, client: &Client, out: &Output) -> Result<(), CliError> {
    let ticket = client.post(&path(device, Some("ticket")), &json!({})).await?;
    let link = link(device, &text_of(&ticket, "ticket"), &text_of(step, "openUrl"), &client.shown_url());
    let until = step.get("expiresAt").and_then(Value::as_i64).map_or_else(String::new, time_of_day);
    out.note(&format!(
        "The account needs a passkey, until {until} UTC. Open this link in a browser with the extension:"
    ));
    out.line(&json!({ "link": link }), || link.clone())?;
    out.note(&format!(
        "Without the extension: wharf devices passkey {device} --script, and then --response with its output.\n\
         Waiting for the signature."
    ));
    Ok(())
}

/// The address that the extension reads: what it needs is in the fragment, which browsers do not send.
fn link(device: &DeviceId, ticket: &str, page: &str, server: &str) -> String {
    let content = json!({ "server": server, "device": device, "ticket": ticket });
    format!("{page}#wharf-passkey={}", URL_SAFE_NO_PAD.encode(content.to_string()))
}

fn script(step: &Value) -> Result<String, CliError> {
    let options = step.get("options").filter(|options| options.is_object());
    let options =
        options.ok_or_else(|| CliError::WrongState("the device does not wait for a signature".to_owned()))?;
    Ok(SCRIPT.replace(PLACEHOLDER, &options.to_string()))
}

fn path<'a>(device: &'a DeviceId, part: Option<&'a str>) -> Vec<&'a str> {
    ["devices", device.as_str(), "passkey"].into_iter().chain(part).collect()
}

fn standard_input() -> Result<Value, CliError> {
    let mut text = String::new();
    let most = u64::try_from(MAX_RESPONSE_BYTES).unwrap_or(u64::MAX);
    std::io::stdin().take(most + 1).read_to_string(&mut text)?;
    if text.len() > MAX_RESPONSE_BYTES {
        return Err(CliError::Usage(format!("standard input is larger than {MAX_RESPONSE_BYTES} bytes")));
    }
    let wrong = |error| CliError::Usage(format!("standard input is not the response of the script: {error}"));
    serde_json::from_str(&text).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_has_server_device_and_ticket_in_its_fragment() {
        let device: DeviceId = "shop".parse().unwrap();
        let link = link(&device, "secret", "https://web.whatsapp.com/", "https://wharf.example.org");
        let content = link.strip_prefix("https://web.whatsapp.com/#wharf-passkey=").unwrap();
        let content: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(content).unwrap()).unwrap();
        assert_eq!(
            content,
            json!({ "server": "https://wharf.example.org", "device": "shop", "ticket": "secret" })
        );
    }

    #[test]
    fn script_has_the_options_of_the_step() {
        let script = script(&json!({ "options": { "challenge": "abc" } })).unwrap();
        assert!(script.contains(r#"{"challenge":"abc"}"#) && !script.contains(PLACEHOLDER));
        assert!(super::script(&json!({ "code": "ABCD-1234" })).is_err());
    }
}
