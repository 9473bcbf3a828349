//! `wharf sim …`: controls the phone and the contacts of a simulated device.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use self::args::{
    CallArgs, FAULTS, FaultArgs, NetworkArgs, PairArgs, ReactArgs, ReceiptArgs, SayArgs, ScanArgs, TypingArgs,
};

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, clean, short, table, text_of};
use super::time_format::time_of_day;
use crate::domain::ids::DeviceId;

mod args;

/// Maximum size of a file for `say`; the daemon's default limit of a request.
const MAX_FILE: u64 = 4 << 20;

/// `wharf sim …`
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// Scan the code with the phone
    Scan(ScanArgs),
    /// Type a pairing code on the phone
    Pair(PairArgs),
    /// Send a message or file from a contact to the device
    #[command(after_help = "Example:\n  wharf sim say demo --from 15550100001 \"Hello, is anybody there?\"")]
    Say(SayArgs),
    /// Send a receipt for a message of the device
    Receipt(ReceiptArgs),
    /// React to a message as a contact
    React(ReactArgs),
    /// Start or end a call of a contact
    Call(CallArgs),
    /// Start or stop typing as a contact
    Typing(TypingArgs),
    /// Inject a fault
    #[command(after_help = FAULTS)]
    Fault(FaultArgs),
    /// Show the records of the simulated network
    Network(NetworkArgs),
}

/// Runs a command.
///
/// # Errors
/// [`CliError`] when the daemon refuses or cannot be reached.
pub async fn run(command: SimCommand, client: &Client, out: &Output) -> Result<(), CliError> {
    match command {
        SimCommand::Scan(args) => {
            let body = object([
                ("phoneNumber", args.phone.into()),
                ("clientName", args.name.into()),
                ("qr", args.qr.into()),
            ]);
            let answer = client.post(&path(&args.device, "scan"), &body).await?;
            out.show(&answer, || format!("{}: scanned", args.device))
        }
        SimCommand::Pair(args) => {
            let body = object([("code", args.code.into()), ("clientName", args.name.into())]);
            let answer = client.post(&path(&args.device, "pair"), &body).await?;
            out.show(&answer, || format!("{}: linked as {}", args.device, text_of(&answer, "phoneNumber")))
        }
        SimCommand::React(args) => {
            let body = json!({ "messageId": args.message, "from": args.from, "emoji": args.emoji });
            let answer = client.post(&path(&args.device, "reaction"), &body).await?;
            let what = if args.emoji.is_empty() { "removed the reaction" } else { "reacted" };
            out.show(&answer, || format!("{}: {} {what}", args.device, args.from))
        }
        SimCommand::Call(args) => {
            let body = object([
                ("from", args.from.to_string().into()),
                ("video", args.video.into()),
                ("status", args.status.as_str().into()),
                ("callId", args.call_id.into()),
            ]);
            let answer = client.post(&path(&args.device, "call"), &body).await?;
            out.show(&answer, || format!("call {}: {}", text_of(&answer, "callId"), args.status))
        }
        SimCommand::Say(args) => say(args, client, out).await,
        SimCommand::Receipt(args) => {
            let body = object([
                ("messageId", args.message.to_string().into()),
                ("ack", args.ack.into()),
                ("participant", args.participant.map(String::from).into()),
            ]);
            let answer = client.post(&path(&args.device, "receipt"), &body).await?;
            out.show(&answer, || format!("{}: receipt {} given", args.device, args.ack))
        }
        SimCommand::Typing(args) => {
            let body = json!({ "from": args.from, "kind": args.kind, "on": !args.off });
            let answer = client.post(&path(&args.device, "typing"), &body).await?;
            let what = if args.off { "stopped typing" } else { "is typing" };
            out.show(&answer, || format!("{}: {} {what}", args.device, args.from))
        }
        SimCommand::Fault(args) => {
            let body = object([
                ("kind", args.kind.as_str().into()),
                ("count", args.count.into()),
                ("durationMs", args.duration_ms.into()),
                ("value", args.value.into()),
            ]);
            let answer = client.post(&path(&args.device, "fault"), &body).await?;
            out.show(&answer, || format!("{}: {} set", args.device, args.kind))
        }
        SimCommand::Network(args) => network(&args, client, out).await,
    }
}

fn path<'a>(device: &'a DeviceId, verb: &'a str) -> [&'a str; 3] {
    ["simulator", device.as_str(), verb]
}

/// Builds an object from the given fields; omits nulls.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

async fn say(args: SayArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let from = args.from.to_string();
    let author = args.group.as_ref().map(|_| from.clone());
    let media = match &args.media {
        Some(file) => media(file, args.voice).await?,
        None => Value::Null,
    };
    let body = object([
        ("from", from.into()),
        ("body", args.text.into()),
        ("media", media),
        ("groupId", args.group.map(String::from).into()),
        ("author", author.into()),
        ("networkId", args.network_id.into()),
    ]);
    let answer = client.post(&path(&args.device, "incoming"), &body).await?;
    out.show(&answer, || format!("received {}", text_of(&answer, "messageId")))
}

async fn media(file: &Path, voice: bool) -> Result<Value, CliError> {
    if tokio::fs::metadata(file).await?.len() > MAX_FILE {
        return Err(CliError::Usage("--media takes a file of at most 4 MiB".to_owned()));
    }
    let data = STANDARD.encode(tokio::fs::read(file).await?);
    let filename = file.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(object([("data", data.into()), ("filename", filename.into()), ("asVoice", voice.into())]))
}

async fn network(args: &NetworkArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    if args.forget {
        let answer = client.delete(&path(&args.device, "network"), &[]).await?;
        return out.show(&answer, || format!("{}: the network's records were deleted", args.device));
    }
    let seen = client.get(&path(&args.device, "network"), &[]).await?;
    out.show(&seen, || network_text(&seen))
}

fn network_text(seen: &Value) -> String {
    let list = |field: &str| seen.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let row = |sent: &Value| {
        vec![
            sent.get("at").and_then(Value::as_i64).map_or_else(|| "-".to_owned(), time_of_day),
            text_of(sent, "to"),
            text_of(sent, "networkId"),
            text_of(sent, "arrivals"),
            text_of(sent, "shown"),
            short(&clean(sent.get("body").and_then(Value::as_str).unwrap_or_default()), 40),
        ]
    };
    let rows: Vec<Vec<String>> = list("sent").iter().map(row).collect();
    let mut text = table(&["AT (UTC)", "TO", "NETWORK ID", "ARRIVALS", "SHOWN", "BODY"], &rows);
    text.push_str(&format!(
        "\nacknowledged by the device: {}, read: {}, typing: {}\n",
        list("acknowledged").len(),
        list("read").len(),
        list("typing").len()
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::args::loose_json;
    use super::*;

    #[test]
    fn omitted_arguments_are_not_sent() {
        let body = object([("a", Value::from("x")), ("b", None::<u32>.into()), ("c", 0.into())]);
        assert_eq!(body, json!({ "a": "x", "c": 0 }));
    }

    #[test]
    fn setting_values_are_json_or_text() {
        assert_eq!(loose_json("2000"), Ok(json!(2000)));
        assert_eq!(loose_json("{\"a\":1}"), Ok(json!({ "a": 1 })));
        assert_eq!(loose_json("temporary"), Ok(json!("temporary")));
    }

    #[test]
    fn network_view_is_table_and_totals() {
        let text = network_text(&json!({
            "sent": [{ "networkId": "3EB0", "to": "15550100001@c.us", "body": "hi\nthere", "at": 0, "arrivals": 2, "shown": 1 }],
            "acknowledged": ["A", "B"], "typing": [], "read": []
        }));
        assert!(
            text.contains("00:00:00.000  15550100001@c.us  3EB0        2         1      hi⏎there\n"),
            "{text}"
        );
        assert!(text.ends_with("acknowledged by the device: 2, read: 0, typing: 0\n"), "{text}");
    }

    #[tokio::test]
    async fn file_is_sent_by_name_unless_too_large() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hum.ogg");
        std::fs::write(&file, b"hum").unwrap();
        let expected = json!({ "data": "aHVt", "filename": "hum.ogg", "asVoice": true });
        assert_eq!(media(&file, true).await.unwrap(), expected);

        std::fs::File::options().write(true).open(&file).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(matches!(media(&file, false).await, Err(CliError::Usage(_))));
    }
}
