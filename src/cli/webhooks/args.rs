//! Arguments of `wharf webhooks …`.

use clap::{Args, Subcommand};

use crate::cli::time_format::parse_duration_ms;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::EndpointId;

/// `wharf webhooks …`
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// List the webhooks
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Create a webhook; its secret is shown only once
    #[command(after_help = CREATE_HELP)]
    Create(CreateArgs),
    /// Show one webhook, without its secrets
    Show(WebhookArg),
    /// Change a webhook; omitted options stay unchanged
    Change(Box<ChangeArgs>),
    /// Delete a webhook and its waiting deliveries
    #[command(visible_alias = "rm")]
    Delete(WebhookArg),
    /// Replace a webhook's secret; the previous one signs too for a while
    Rotate(RotateArgs),
    /// Deliver a test event, and print the receiver's answer
    Test(WebhookArg),
    /// List recent attempts
    Attempts(AttemptsArgs),
    /// List the events that were not delivered in any attempt
    DeadLetters(WebhookArg),
    /// Deliver again: one dead letter, all of them, or a range of a device's log
    #[command(after_help = REPLAY_HELP)]
    Replay(ReplayArgs),
}

/// Arguments of a command on one webhook.
#[derive(Debug, Args)]
pub struct WebhookArg {
    /// The webhook's id
    #[arg(value_name = "WEBHOOK")]
    pub id: EndpointId,
}

/// `wharf webhooks list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those of this device
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceId>,
}

/// Properties of a webhook.
#[derive(Debug, Args)]
pub struct WebhookOptions {
    /// Display name
    #[arg(long)]
    pub name: Option<String>,

    /// Events to deliver, separated by commas: names, message:* or *; all if left out
    #[arg(long, value_delimiter = ',', value_name = "EVENTS")]
    pub events: Vec<String>,

    /// Events to leave out, separated by commas: names, groups, status, newsletters
    #[arg(long, value_delimiter = ',', value_name = "WHAT")]
    pub exclude: Vec<String>,

    /// The format of the events
    #[arg(long, value_parser = ["wharf", "waha", "wwebjs"])]
    pub format: Option<String>,

    /// Ordering: one delivery at a time per device, per chat, or none
    #[arg(long, value_parser = ["device", "chat", "none"])]
    pub ordering: Option<String>,

    /// An additional request header, such as "Authorization: Bearer …"; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,

    /// Timeout of an attempt, such as 10s
    #[arg(long, value_parser = parse_duration_ms, value_name = "DURATION")]
    pub timeout: Option<i64>,

    /// File with certificates (PEM) that are trusted instead of the system's
    #[arg(long, value_name = "FILE")]
    pub custom_ca: Option<std::path::PathBuf>,
}

/// `wharf webhooks create`
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// URL of the receiver
    #[arg(id = "receiver", value_name = "URL")]
    pub url: String,

    /// The device of the events; all devices if left out
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceId>,

    /// Read the secret from this environment variable instead of generating one
    #[arg(long, value_name = "VARIABLE")]
    pub secret_env: Option<String>,

    /// Properties of the new webhook.
    #[command(flatten)]
    pub options: WebhookOptions,
}

/// `wharf webhooks change`
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// The webhook's id
    #[arg(value_name = "WEBHOOK")]
    pub id: EndpointId,

    /// New URL of the receiver
    #[arg(id = "receiver", long = "to", value_name = "URL")]
    pub url: Option<String>,

    /// Enable it, also after it was disabled for failures
    #[arg(long, conflicts_with = "disable")]
    pub enable: bool,

    /// Disable it: new events are not queued for it
    #[arg(long)]
    pub disable: bool,

    /// Reset these to their defaults, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "FIELDS", value_parser = ["name", "exclude", "headers", "timeout", "custom-ca"])]
    pub clear: Vec<String>,

    /// Properties to change.
    #[command(flatten)]
    pub options: WebhookOptions,
}

/// `wharf webhooks rotate`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The webhook's id
    #[arg(value_name = "WEBHOOK")]
    pub id: EndpointId,

    /// Time for which the previous secret signs too, such as 2h; a day if left out
    #[arg(long, value_parser = parse_duration_ms, value_name = "DURATION")]
    pub keep: Option<i64>,
}

/// `wharf webhooks attempts`
#[derive(Debug, Args)]
pub struct AttemptsArgs {
    /// The webhook's id
    #[arg(value_name = "WEBHOOK")]
    pub id: EndpointId,

    /// Maximum number, newest first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub limit: u8,
}

/// `wharf webhooks replay`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["dead", "letter", "from"]))]
pub struct ReplayArgs {
    /// The webhook's id
    #[arg(value_name = "WEBHOOK")]
    pub id: EndpointId,

    /// All dead letters
    #[arg(long)]
    pub dead: bool,

    /// One dead letter, by its id
    #[arg(long = "id", value_name = "LETTER")]
    pub letter: Option<i64>,

    /// First sequence number of the log
    #[arg(long, value_name = "SEQ", requires = "to")]
    pub from: Option<i64>,

    /// Last sequence number of the log
    #[arg(long, value_name = "SEQ", requires = "from")]
    pub to: Option<i64>,

    /// Device of the log, for a webhook of all devices
    #[arg(long, value_name = "DEVICE", requires = "from")]
    pub device: Option<DeviceId>,
}

const CREATE_HELP: &str = "\
Examples:
  wharf webhooks create https://hooks.example.com/wharf
  wharf webhooks create https://hooks.example.com/shop --device shop --events message,message:ack --exclude groups
  wharf webhooks create https://old.example.com/waha --format waha --secret-env WAHA_KEY

Receivers verify the headers webhook-id, webhook-timestamp and webhook-signature with any library for Standard
Webhooks and the secret that is printed.";

const REPLAY_HELP: &str = "\
Examples:
  wharf webhooks replay wh_3f0a8c5e9b7d41261122 --dead
  wharf webhooks replay wh_3f0a8c5e9b7d41261122 --id 9
  wharf webhooks replay wh_3f0a8c5e9b7d41261122 --device shop --from 100 --to 200";

fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    parts.filter(|(name, _)| !name.is_empty()).ok_or_else(|| "write it as NAME: VALUE".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_argument_is_name_and_value() {
        assert_eq!(header("Authorization: Bearer a:b"), Ok(("Authorization".into(), "Bearer a:b".into())));
        assert!(header("nothing").is_err());
        assert!(header(": x").is_err());
    }
}
