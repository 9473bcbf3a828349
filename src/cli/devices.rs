//! `wharf devices …`: creates, links, starts, stops and deletes devices.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, clean, key_values, moment_of, short, table, text_of};
use super::passkey::{self, PasskeyArgs};
use super::qr::{self, QrArgs};
use crate::domain::clock::Clock;
use crate::domain::ids::DeviceId;
use crate::domain::reason::Reason;

/// `wharf devices …`
#[derive(Debug, Subcommand)]
pub enum DevicesCommand {
    /// List the devices
    #[command(visible_alias = "ls")]
    List,
    /// Create a device; it starts connecting immediately
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// Show one device
    Show(DeviceArg),
    /// Draw the QR code that the phone scans
    #[command(after_help = qr::EXAMPLES)]
    Qr(QrArgs),
    /// Link a device whose account needs a passkey
    #[command(after_help = passkey::EXAMPLES)]
    Passkey(PasskeyArgs),
    /// Start a device that is stopped, failed or logged out
    Start(DeviceArg),
    /// Stop a device; it stays linked
    Stop(DeviceArg),
    /// Stop a device and start it again
    Restart(DeviceArg),
    /// Unlink a device from its account; its messages stay here
    Logout(DeviceArg),
    /// Log out and remove a device, with its messages unless --keep-data is given
    #[command(visible_alias = "rm")]
    Delete(DeleteArgs),
}

/// Arguments of a command on one device.
#[derive(Debug, Args)]
pub struct DeviceArg {
    /// The device's id
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,
}

/// `wharf devices create`
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Id: 1 to 64 of A-Z a-z 0-9 _ -; a random one if left out
    #[arg(long)]
    pub id: Option<DeviceId>,

    /// Display name
    #[arg(long)]
    pub name: Option<String>,

    /// Engine, such as simulator; the configured default if left out
    #[arg(long)]
    pub engine: Option<String>,

    /// Settings as a JSON object
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    pub settings: Option<Map<String, Value>>,
}

/// `wharf devices delete`
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The device's id
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Keep the device's messages, chats and events
    #[arg(long)]
    pub keep_messages: bool,

    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
}

const CREATE_EXAMPLES: &str = "\
Examples:
  wharf devices create --id shop --name \"Shop counter\"
  wharf devices create --id demo --engine simulator --settings '{\"simulator\":{\"echo\":true}}'";

fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

/// Runs a command.
///
/// # Errors
/// [`CliError`] when the daemon refuses or cannot be reached.
pub async fn run(
    command: DevicesCommand,
    client: &Client,
    clock: &dyn Clock,
    out: &Output,
) -> Result<(), CliError> {
    match command {
        DevicesCommand::List => list(client, out).await,
        DevicesCommand::Create(args) => create(args, client, out).await,
        DevicesCommand::Show(arg) => {
            let device = client.get(&["devices", arg.device.as_str()], &[]).await?;
            out.show(&device, || describe(&device))
        }
        DevicesCommand::Qr(args) => qr::run(&args, client, clock, out).await,
        DevicesCommand::Passkey(args) => passkey::run(&args, client, out).await,
        DevicesCommand::Start(arg) => act(&arg.device, "start", "starting", client, out).await,
        DevicesCommand::Stop(arg) => act(&arg.device, "stop", "stopped", client, out).await,
        DevicesCommand::Restart(arg) => act(&arg.device, "restart", "restarting", client, out).await,
        DevicesCommand::Logout(arg) => act(&arg.device, "logout", "logged out", client, out).await,
        DevicesCommand::Delete(args) => delete(&args, client, out).await,
    }
}

async fn list(client: &Client, out: &Output) -> Result<(), CliError> {
    let devices = client.get_list(&["devices"]).await?;
    if devices.is_empty() {
        out.note("No devices yet. Create one: wharf devices create --name \"My phone\"");
    }
    let text = device_table(&devices);
    out.show(&devices.into(), || text)
}

fn device_table(devices: &[Value]) -> String {
    let row = |device: &Value| {
        vec![
            text_of(device, "id"),
            short(&text_of(device, "name"), 30),
            text_of(device, "engine"),
            text_of(device, "state"),
            text_of(device, "phoneNumber"),
            moment_of(device, "lastSeen"),
        ]
    };
    let rows: Vec<Vec<String>> = devices.iter().map(row).collect();
    table(&["ID", "NAME", "ENGINE", "STATE", "PHONE", "LAST SEEN"], &rows)
}

async fn create(args: CreateArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = Map::new();
    let given = [("id", args.id.map(String::from)), ("name", args.name), ("engine", args.engine)];
    for (field, value) in given {
        if let Some(value) = value {
            body.insert(field.to_owned(), value.into());
        }
    }
    if let Some(settings) = args.settings {
        body.insert("settings".to_owned(), settings.into());
    }
    let device = client.post(&["devices"], &body.into()).await?;
    let id = text_of(&device, "id");
    out.show(&device, || {
        format!("created {id} ({}, {})\n", text_of(&device, "engine"), text_of(&device, "state"))
    })?;
    out.note(&format!("Next: wharf devices qr {id} --watch"));
    Ok(())
}

fn describe(device: &Value) -> String {
    let stats = device.get("stats").unwrap_or(&Value::Null);
    let reason = reason_text(device);
    let mut text = key_values(&[
        ("id", text_of(device, "id")),
        ("name", text_of(device, "name")),
        ("engine", text_of(device, "engine")),
        ("state", text_of(device, "state")),
        ("reason", reason),
        ("phone", text_of(device, "phoneNumber")),
        ("account", text_of(device, "clientName")),
        ("last seen", moment_of(device, "lastSeen")),
        ("created", moment_of(device, "createdAt")),
        (
            "messages",
            format!("{} in, {} out", number(stats, "messagesReceived"), number(stats, "messagesSent")),
        ),
        ("contacts", number(stats, "contacts").to_string()),
        ("groups", number(stats, "groups").to_string()),
    ]);
    if let Some(settings) = device.get("settings").filter(|s| s.as_object().is_some_and(|s| !s.is_empty())) {
        text.push_str(&format!("settings   {}\n", clean(&settings.to_string())));
    }
    text
}

/// Formats the reason code with the daemon's explanation and advice.
pub(super) fn reason_text(object: &Value) -> String {
    let code = text_of(object, "reason");
    match Reason::ALL.iter().find(|reason| reason.code() == code) {
        Some(reason) => format!("{code}: {} {}", reason.meaning(), reason.advice()),
        None => code,
    }
}

fn number(object: &Value, field: &str) -> i64 {
    object.get(field).and_then(Value::as_i64).unwrap_or(0)
}

async fn act(
    device: &DeviceId,
    verb: &str,
    done: &str,
    client: &Client,
    out: &Output,
) -> Result<(), CliError> {
    let answer = client.post(&["devices", device.as_str(), verb], &json!({})).await?;
    out.show(&answer, || match text_of(&answer, "state") {
        state if state.is_empty() => format!("{device}: {done}"),
        state => format!("{device}: {done} (state: {state})"),
    })
}

async fn delete(args: &DeleteArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let device = &args.device;
    let loss = if args.keep_messages { "its messages are kept" } else { "its messages are deleted with it" };
    if !args.yes {
        match out.confirm(&format!("Log out and delete {device}? ({loss})"))? {
            Some(true) => {}
            Some(false) => return Err(CliError::Failed("cancelled; nothing was deleted".to_owned())),
            None => return Err(CliError::Usage("deleting without a terminal to ask needs --yes".to_owned())),
        }
    }
    let query = [("keepMessages", args.keep_messages.to_string())];
    let answer = client.delete(&["devices", device.as_str()], &query).await?;
    out.show(&answer, || format!("{device}: deleted; {}", loss.replace("are", "were")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_description_omits_absent_fields() {
        let device = json!({
            "id": "demo", "name": "Demo\u{1b}[31m", "engine": "simulator", "state": "stopped", "phoneNumber": null,
            "reason": "qr_codes_exhausted", "createdAt": 0, "stats": { "messagesReceived": 2, "messagesSent": 1 },
            "settings": { "simulator": { "echo": true } },
        });
        let text = describe(&device);
        assert!(text.contains("name       Demo·[31m\n"), "{text}");
        assert!(text.contains("reason     qr_codes_exhausted: All six"), "{text}");
        assert!(text.contains("messages   2 in, 1 out\n"), "{text}");
        assert!(text.contains("settings   {\"simulator\":{\"echo\":true}}\n"), "{text}");
        assert!(!text.contains("\nphone "), "{text}");
    }

    #[test]
    fn devices_are_printed_as_table() {
        let rows = [
            json!({ "id": "a", "name": "A", "engine": "simulator", "state": "ready", "phoneNumber": "15550100001", "lastSeen": 0 }),
        ];
        assert_eq!(
            device_table(&rows),
            "ID  NAME  ENGINE     STATE  PHONE        LAST SEEN\n\
             a   A     simulator  ready  15550100001  1970-01-01 00:00:00Z\n"
        );
    }
}
