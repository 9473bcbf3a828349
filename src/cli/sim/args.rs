//! Arguments of `wharf sim`.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;

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

    /// The code to scan; the current one if left out
    #[arg(long, value_name = "CODE")]
    pub qr: Option<String>,
}

/// `wharf sim say`
#[derive(Debug, Args)]
pub struct SayArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Text of the message; with a file, its caption
    #[arg(value_name = "TEXT", allow_hyphen_values = true, required_unless_present = "media")]
    pub text: Option<String>,

    /// Phone number of the contact
    #[arg(long, value_name = "NUMBER")]
    pub from: Jid,

    /// Send it to this group instead of directly to the device
    #[arg(long, value_name = "GROUP-ID")]
    pub group: Option<Jid>,

    /// Send this file
    #[arg(long, value_name = "FILE")]
    pub media: Option<PathBuf>,

    /// Send the file as a voice note
    #[arg(long, requires = "media")]
    pub voice: bool,

    /// Network id; repeating it simulates a duplicate delivery
    #[arg(long, value_name = "ID")]
    pub network_id: Option<String>,
}

/// `wharf sim pair`
#[derive(Debug, Args)]
pub struct PairArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// The code that the device shows, such as ABCD-1234
    #[arg(value_name = "CODE")]
    pub code: String,

    /// Name of the account
    #[arg(long)]
    pub name: Option<String>,
}

/// `wharf sim react`
#[derive(Debug, Args)]
pub struct ReactArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// The message, such as true_15550100001@c.us_3EB0A1B2C3
    #[arg(value_name = "MESSAGE-ID")]
    pub message: MessageId,

    /// One emoji; an empty one removes the reaction
    #[arg(value_name = "EMOJI")]
    pub emoji: String,

    /// Phone number of the contact
    #[arg(long, value_name = "NUMBER")]
    pub from: Jid,
}

/// `wharf sim call`
#[derive(Debug, Args)]
pub struct CallArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Phone number of the contact
    #[arg(long, value_name = "NUMBER")]
    pub from: Jid,

    /// Make it a video call
    #[arg(long)]
    pub video: bool,

    /// State of the call
    #[arg(long, default_value = "ringing",
        value_parser = ["ringing", "accepted", "rejected", "missed", "ended"])]
    pub status: String,

    /// Id of the call; to end a ringing one
    #[arg(long, value_name = "ID")]
    pub call_id: Option<String>,
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

    /// The member of a group that sends the receipt
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

    /// The kind of message that is being composed
    #[arg(long, default_value = "text", value_parser = ["text", "audio"])]
    pub kind: String,

    /// Stop typing
    #[arg(long)]
    pub off: bool,
}

/// `wharf sim fault`
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Kind of fault
    #[arg(value_name = "KIND", value_parser = FAULT_KINDS, hide_possible_values = true)]
    pub kind: String,

    /// Number of repetitions
    #[arg(long)]
    pub count: Option<u32>,

    /// Duration in milliseconds
    #[arg(long, value_name = "MS")]
    pub duration_ms: Option<u64>,

    /// Details required by the kind, as JSON or plain text
    #[arg(long, value_parser = loose_json)]
    pub value: Option<Value>,
}

/// `wharf sim network`
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// The simulated device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Delete its records instead
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

/// Help text about faults.
pub(super) const FAULTS: &str = "\
Kinds:
  drop_link           the link to the network breaks
  refuse_connect      the network refuses connections
  log_out             the phone removes the linked device
  ban                 the network suspends the account
  send_transient      sends fail, and may be tried again
  send_permanent      sends fail for good
  send_unknown        the outcome of a send is unknown
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
pub(super) fn loose_json(text: &str) -> Result<Value, String> {
    Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}
