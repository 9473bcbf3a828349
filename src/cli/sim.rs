//! `wharf sim …`: the phone and the contacts of a simulated device.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, clean, short, table, text_of};
use super::time::time_of_day;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;

/// `wharf sim …`
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// The phone scans the code
    Scan(ScanArgs),
    /// A contact writes to the device
    #[command(after_help = "Example:\n  wharf sim say demo --from 15550100001 \"Hello, is anybody there?\"")]
    Say(SayArgs),
    /// A receipt arrives for a message that the device sent
    Receipt(ReceiptArgs),
    /// A contact begins to type, or stops
    Typing(TypingArgs),
    /// Something goes wrong
    #[command(after_help = FAULTS)]
    Fault(FaultArgs),
    /// Show what the network saw
    Network(NetworkArgs),
}

/// `wharf sim scan`
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Phone number of the account, in digits
    #[arg(long, value_name = "NUMBER")]
    pub phone: Option<String>,

    /// Name of the account
    #[arg(long)]
    pub name: Option<String>,

    /// The code that is scanned; the current one if left out
    #[arg(long, value_name = "CODE")]
    pub qr: Option<String>,
}

/// `wharf sim say`
#[derive(Debug, Args)]
pub struct SayArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// What is written
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub text: String,

    /// Phone number of the contact
    #[arg(long, value_name = "NUMBER")]
    pub from: Jid,

    /// Write it into this group instead of to the device alone
    #[arg(long, value_name = "GROUP-ID")]
    pub group: Option<Jid>,

    /// The network's own id; the same one twice is the network delivering twice
    #[arg(long, value_name = "ID")]
    pub network_id: Option<String>,
}

/// `wharf sim receipt`
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// The message, such as true_15550100001@c.us_3EB0A1B2C3
    #[arg(value_name = "MESSAGE-ID")]
    pub message: MessageId,

    /// -1 error, 1 server, 2 device, 3 read, 4 played
    #[arg(value_name = "ACK", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..=4))]
    pub ack: i64,

    /// Who of a group
    #[arg(long, value_name = "NUMBER")]
    pub participant: Option<Jid>,
}

/// `wharf sim typing`
#[derive(Debug, Args)]
pub struct TypingArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Phone number of the contact
    #[arg(long, value_name = "NUMBER")]
    pub from: Jid,

    /// What is being made
    #[arg(long, default_value = "text", value_parser = ["text", "audio"])]
    pub kind: String,

    /// The contact stops typing
    #[arg(long)]
    pub off: bool,
}

/// `wharf sim fault`
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// What goes wrong
    #[arg(value_name = "KIND", value_parser = FAULT_KINDS, hide_possible_values = true)]
    pub kind: String,

    /// How many times
    #[arg(long)]
    pub count: Option<u32>,

    /// For how long
    #[arg(long, value_name = "MS")]
    pub duration_ms: Option<u64>,

    /// What the kind needs to know, as JSON or as plain text
    #[arg(long, value_parser = loose_json)]
    pub value: Option<Value>,
}

/// `wharf sim network`
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Forget it instead
    #[arg(long)]
    pub forget: bool,
}

const FAULT_KINDS: [&str; 12] = [
    "drop_link",
    "refuse_connect",
    "log_out",
    "ban",
    "send_transient",
    "send_permanent",
    "send_unknown",
    "slow_send",
    "duplicate_incoming",
    "reorder_receipts",
    "stall",
    "panic",
];

const FAULTS: &str = "\
Kinds:
  drop_link           the link to the network breaks
  refuse_connect      the network refuses connections
  log_out             the phone removes the linked device
  ban                 the network suspends the account
  send_transient      sends fail, and may be tried again
  send_permanent      sends fail for good
  send_unknown        nobody knows whether a send arrived
  slow_send           sends take long
  duplicate_incoming  messages come in twice
  reorder_receipts    receipts come in the wrong order
  stall               connected, but silent
  panic               the engine crashes

Examples:
  wharf sim fault demo drop_link
  wharf sim fault demo send_transient --count 3
  wharf sim fault demo slow_send --duration-ms 60000 --value 2000";

#[expect(clippy::unnecessary_wraps, reason = "the signature clap asks of a value parser")]
fn loose_json(text: &str) -> Result<Value, String> {
    Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}

/// Does one of the commands.
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

/// An object of what was given; nulls are left out.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

async fn say(args: SayArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let from = args.from.to_string();
    let author = args.group.as_ref().map(|_| from.clone());
    let body = object([
        ("from", from.into()),
        ("body", args.text.into()),
        ("groupId", args.group.map(String::from).into()),
        ("author", author.into()),
        ("networkId", args.network_id.into()),
    ]);
    let answer = client.post(&path(&args.device, "incoming"), &body).await?;
    out.show(&answer, || format!("received {}", text_of(&answer, "messageId")))
}

async fn network(args: &NetworkArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    if args.forget {
        let answer = client.delete(&path(&args.device, "network"), &[]).await?;
        return out.show(&answer, || format!("{}: the network has forgotten everything", args.device));
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
    use super::*;

    #[test]
    fn what_is_not_given_is_not_sent() {
        let body = object([("a", Value::from("x")), ("b", None::<u32>.into()), ("c", 0.into())]);
        assert_eq!(body, json!({ "a": "x", "c": 0 }));
    }

    #[test]
    fn values_are_json_or_text() {
        assert_eq!(loose_json("2000"), Ok(json!(2000)));
        assert_eq!(loose_json("{\"a\":1}"), Ok(json!({ "a": 1 })));
        assert_eq!(loose_json("temporary"), Ok(json!("temporary")));
    }

    #[test]
    fn the_network_is_a_table_and_a_line() {
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
}
