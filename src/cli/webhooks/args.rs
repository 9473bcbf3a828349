//! The arguments of `wharf webhooks …`.

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
    /// Make a webhook; its secret is shown once and cannot be shown again
    #[command(after_help = CREATE_HELP)]
    Create(CreateArgs),
    /// Show one webhook, without its secrets
    Show(WebhookArg),
    /// Change a webhook; what is not said stays
    Change(Box<ChangeArgs>),
    /// Delete a webhook, with what waits for it
    #[command(visible_alias = "rm")]
    Delete(WebhookArg),
    /// Replace a webhook's secret; the one before signs too for a while
    Rotate(RotateArgs),
    /// Push a test event, and say what the receiver answers
    Test(WebhookArg),
    /// Show what came of each try
    Attempts(AttemptsArgs),
    /// List the events that did not reach a webhook in any try
    DeadLetters(WebhookArg),
    /// Deliver once more: one dead letter, all of them, or part of a device's log
    #[command(after_help = REPLAY_HELP)]
    Replay(ReplayArgs),
}

/// A webhook.
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

/// What a webhook is made of.
#[derive(Debug, Args)]
pub struct WebhookOptions {
    /// What people call it
    #[arg(long)]
    pub name: Option<String>,

    /// Which events, separated by commas: names, message:* or *; all if left out
    #[arg(long, value_delimiter = ',', value_name = "EVENTS")]
    pub events: Vec<String>,

    /// Events to leave out, separated by commas: names, groups, status, newsletters
    #[arg(long, value_delimiter = ',', value_name = "WHAT")]
    pub exclude: Vec<String>,

    /// The format of the events
    #[arg(long, value_parser = ["wharf", "waha", "wwebjs"])]
    pub format: Option<String>,

    /// What each event waits for: the one before of its device, of its chat, or nothing
    #[arg(long, value_parser = ["device", "chat", "none"])]
    pub ordering: Option<String>,

    /// A header that it gets besides, such as "Authorization: Bearer …"; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,

    /// How long a try may take, such as 10s
    #[arg(long, value_parser = parse_duration_ms, value_name = "DURATION")]
    pub timeout: Option<i64>,

    /// A file with the only certificates (PEM) that its server may stand on
    #[arg(long, value_name = "FILE")]
    pub custom_ca: Option<std::path::PathBuf>,
}

/// `wharf webhooks create`
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Where events are pushed to
    #[arg(id = "receiver", value_name = "URL")]
    pub url: String,

    /// The device of the events; all devices if left out
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceId>,

    /// Take the secret from this environment variable instead of having one made
    #[arg(long, value_name = "VARIABLE")]
    pub secret_env: Option<String>,

    /// What it is made of.
    #[command(flatten)]
    pub options: WebhookOptions,
}

/// `wharf webhooks change`
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// The webhook's id
    #[arg(value_name = "WEBHOOK")]
    pub id: EndpointId,

    /// Where events are pushed to from now on
    #[arg(id = "receiver", long = "to", value_name = "URL")]
    pub url: Option<String>,

    /// Switch it on, also after failures switched it off
    #[arg(long, conflicts_with = "disable")]
    pub enable: bool,

    /// Switch it off: nothing new waits for it
    #[arg(long)]
    pub disable: bool,

    /// Take these away, separated by commas; what they stood for is as if never said
    #[arg(long, value_delimiter = ',', value_name = "FIELDS", value_parser = ["name", "exclude", "headers", "timeout", "custom-ca"])]
    pub clear: Vec<String>,

    /// What it is made of.
    #[command(flatten)]
    pub options: WebhookOptions,
}

/// `wharf webhooks rotate`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The webhook's id
    #[arg(value_name = "WEBHOOK")]
    pub id: EndpointId,

    /// For how long the secret before signs too, such as 2h; a day if left out
    #[arg(long, value_parser = parse_duration_ms, value_name = "DURATION")]
    pub keep: Option<i64>,
}

/// `wharf webhooks attempts`
#[derive(Debug, Args)]
pub struct AttemptsArgs {
    /// The webhook's id
    #[arg(value_name = "WEBHOOK")]
    pub id: EndpointId,

    /// At most so many, the newest first
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

    /// This dead letter
    #[arg(long = "id", value_name = "LETTER")]
    pub letter: Option<i64>,

    /// From this entry of the log
    #[arg(long, value_name = "SEQ", requires = "to")]
    pub from: Option<i64>,

    /// To this one
    #[arg(long, value_name = "SEQ", requires = "from")]
    pub to: Option<i64>,

    /// The device of the log, for a webhook of all devices
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
