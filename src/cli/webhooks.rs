//! `wharf webhooks …`

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, clean, facts, moment_of, short, table, text_of};
use super::time::parse_duration_ms;
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

    /// What of them is left out, separated by commas: names, groups, status, newsletters
    #[arg(long, value_delimiter = ',', value_name = "WHAT")]
    pub exclude: Vec<String>,

    /// In whose words events are pushed
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

    /// Whose events; those of all devices if left out
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

    /// Whose log, where the webhook is of all devices
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

/// Does one of the commands.
///
/// # Errors
/// [`CliError`] when the daemon refuses or cannot be reached.
pub async fn run(command: WebhooksCommand, client: &Client, out: &Output) -> Result<(), CliError> {
    match command {
        WebhooksCommand::List(args) => {
            let list = match &args.device {
                Some(device) => client.get(&["devices", device.as_str(), "webhooks"], &[]).await?,
                None => client.get(&["webhooks"], &[]).await?,
            };
            out.show(&list, || webhook_table(&list))
        }
        WebhooksCommand::Create(args) => create(args, client, out).await,
        WebhooksCommand::Show(WebhookArg { id }) => {
            let webhook = client.get(&["webhooks", id.as_str()], &[]).await?;
            out.show(&webhook, || webhook_facts(&webhook))
        }
        WebhooksCommand::Change(args) => change(*args, client, out).await,
        WebhooksCommand::Delete(WebhookArg { id }) => {
            let answer = client.delete(&["webhooks", id.as_str()], &[]).await?;
            out.show(&answer, || format!("{id}: deleted"))
        }
        WebhooksCommand::Rotate(args) => rotate(args, client, out).await,
        WebhooksCommand::Test(WebhookArg { id }) => {
            let report = client.post(&["webhooks", id.as_str(), "test"], &json!({})).await?;
            out.show(&report, || {
                let status = text_of(&report, "status");
                format!("{} {status} ({} ms)", text_of(&report, "outcome"), text_of(&report, "durationMs"))
            })
        }
        WebhooksCommand::Attempts(AttemptsArgs { id, limit }) => {
            let query = [("limit", limit.to_string())];
            let attempts = client.get(&["webhooks", id.as_str(), "attempts"], &query).await?;
            out.show(&attempts, || attempt_table(&attempts))
        }
        WebhooksCommand::DeadLetters(WebhookArg { id }) => {
            let letters: Value = client.get_list(&["webhooks", id.as_str(), "dead-letters"]).await?.into();
            out.show(&letters, || letter_table(&letters))
        }
        WebhooksCommand::Replay(args) => replay(args, client, out).await,
    }
}

async fn create(args: CreateArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = fields(args.options)?;
    body.insert("url".to_owned(), args.url.into());
    if let Some(device) = &args.device {
        body.insert("deviceId".to_owned(), device.as_str().into());
    }
    if let Some(variable) = &args.secret_env {
        let secret = super::environment_variable(variable).ok_or_else(|| {
            CliError::Usage(format!("the environment variable {} is not set", clean(variable)))
        })?;
        body.insert("secret".to_owned(), secret.into());
    }
    let created = client.post(&["webhooks"], &body.into()).await?;
    let id = created.get("webhook").map(|webhook| text_of(webhook, "id")).unwrap_or_default();
    if id.is_empty() {
        return Err(CliError::Failed("the answer names no webhook: is it a Wharf that answered?".to_owned()));
    }
    out.show(&created, || format!("{id}\n{}", text_of(&created, "signingSecret")))?;
    out.note("Keep the secret: it is not shown again. Receivers verify what comes with it.");
    Ok(())
}

async fn change(args: ChangeArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = fields(args.options)?;
    clear(&mut body, &args.clear)?;
    if let Some(url) = args.url {
        body.insert("url".to_owned(), url.into());
    }
    if args.enable || args.disable {
        body.insert("enabled".to_owned(), args.enable.into());
    }
    let webhook = client.patch(&["webhooks", args.id.as_str()], &body.into()).await?;
    out.show(&webhook, || webhook_facts(&webhook))
}

fn clear(body: &mut Map<String, Value>, fields: &[String]) -> Result<(), CliError> {
    for field in fields {
        let (name, nothing) = match field.as_str() {
            "exclude" => ("exclude", json!([])),
            "headers" => ("headers", json!({})),
            "timeout" => ("timeoutMs", json!(0)),
            "custom-ca" => ("customCa", json!("")),
            other => (other, json!("")),
        };
        if body.insert(name.to_owned(), nothing).is_some() {
            return Err(CliError::Usage(format!("{field} cannot be set and cleared at once")));
        }
    }
    Ok(())
}

async fn rotate(args: RotateArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = Map::new();
    if let Some(keep) = args.keep {
        body.insert("keepMs".to_owned(), keep.into());
    }
    let rotated = client.post(&["webhooks", args.id.as_str(), "rotate"], &body.into()).await?;
    out.show(&rotated, || text_of(&rotated, "signingSecret"))?;
    let until = moment_of(&rotated, "previousSecretUntil");
    out.note(&format!("Keep it: it is not shown again. The one before signs too until {until}."));
    Ok(())
}

async fn replay(args: ReplayArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = match (args.dead, args.letter) {
        (true, _) => json!({ "dead": true }),
        (false, Some(letter)) => json!({ "id": letter }),
        (false, None) => json!({ "from": args.from, "to": args.to }),
    };
    if let Some(device) = &args.device {
        body["deviceId"] = device.as_str().into();
    }
    let answer = client.post(&["webhooks", args.id.as_str(), "replay"], &body).await?;
    out.show(&answer, || format!("{} deliveries are put back", text_of(&answer, "replayed")))
}

fn fields(options: WebhookOptions) -> Result<Map<String, Value>, CliError> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| drop(body.insert(name.to_owned(), value)));
    };
    put("name", options.name.map(Value::from));
    put("events", (!options.events.is_empty()).then(|| options.events.into()));
    put("exclude", (!options.exclude.is_empty()).then(|| options.exclude.into()));
    put("format", options.format.map(Value::from));
    put("ordering", options.ordering.map(Value::from));
    let headers: Map<String, Value> =
        options.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    put("headers", (!headers.is_empty()).then(|| headers.into()));
    put("timeoutMs", options.timeout.map(Value::from));
    if let Some(path) = &options.custom_ca {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| CliError::Usage(format!("{} cannot be read: {error}", path.display())))?;
        put("customCa", Some(pem.into()));
    }
    Ok(body)
}

fn state_of(webhook: &Value) -> String {
    match webhook.get("enabled").and_then(Value::as_bool) {
        Some(false) => format!("off ({})", text_of(webhook, "disabledReason")),
        _ if webhook.get("failingSince").is_some_and(|since| !since.is_null()) => "failing".to_owned(),
        _ => "on".to_owned(),
    }
}

fn device_of(webhook: &Value) -> String {
    let device = text_of(webhook, "deviceId");
    if device.is_empty() { "all".to_owned() } else { device }
}

fn rows_of(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().into_iter().flatten().map(row).collect()
}

fn webhook_table(list: &Value) -> String {
    let rows = rows_of(list, |webhook| {
        vec![
            text_of(webhook, "id"),
            device_of(webhook),
            state_of(webhook),
            text_of(webhook, "format"),
            short(&text_of(webhook, "events"), 30),
            text_of(webhook, "waiting"),
            text_of(webhook, "deadLetters"),
            short(&text_of(webhook, "url"), 60),
        ]
    });
    table(&["ID", "DEVICE", "STATE", "FORMAT", "EVENTS", "WAITING", "DEAD", "URL"], &rows)
}

fn webhook_facts(webhook: &Value) -> String {
    let headers = webhook.get("headers").and_then(Value::as_object);
    let names: Vec<String> = headers.into_iter().flatten().map(|(name, _)| clean(name)).collect();
    facts(&[
        ("id", text_of(webhook, "id")),
        ("device", device_of(webhook)),
        ("name", text_of(webhook, "name")),
        ("url", text_of(webhook, "url")),
        ("state", state_of(webhook)),
        ("events", text_of(webhook, "events")),
        ("without", text_of(webhook, "exclude")),
        ("format", text_of(webhook, "format")),
        ("ordering", text_of(webhook, "ordering")),
        ("headers", names.join(", ")),
        ("waiting", text_of(webhook, "waiting")),
        ("dead letters", text_of(webhook, "deadLetters")),
        ("last delivery", moment_of(webhook, "lastDeliveryAt")),
        ("failing since", moment_of(webhook, "failingSince")),
        ("created", moment_of(webhook, "createdAt")),
    ])
}

fn attempt_table(list: &Value) -> String {
    let rows = rows_of(list, |attempt| {
        vec![
            moment_of(attempt, "at"),
            text_of(attempt, "deviceId"),
            text_of(attempt, "seq"),
            text_of(attempt, "event"),
            text_of(attempt, "attempt"),
            text_of(attempt, "outcome"),
            text_of(attempt, "status"),
            text_of(attempt, "durationMs"),
            moment_of(attempt, "nextAttemptAt"),
        ]
    });
    table(&["AT", "DEVICE", "SEQ", "EVENT", "TRY", "OUTCOME", "STATUS", "MS", "AGAIN AT"], &rows)
}

fn letter_table(list: &Value) -> String {
    let rows = rows_of(list, |letter| {
        vec![
            text_of(letter, "id"),
            text_of(letter, "deviceId"),
            text_of(letter, "seq"),
            text_of(letter, "event"),
            text_of(letter, "attempts"),
            text_of(letter, "lastError"),
            moment_of(letter, "deadAt"),
        ]
    });
    table(&["ID", "DEVICE", "SEQ", "EVENT", "TRIES", "LAST", "SINCE"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        assert_eq!(header("Authorization: Bearer a:b"), Ok(("Authorization".into(), "Bearer a:b".into())));
        assert!(header("nothing").is_err());
        assert!(header(": x").is_err());
    }

    #[test]
    fn what_is_cleared_is_sent_as_nothing_and_not_set_as_well() {
        let all = ["name", "exclude", "headers", "timeout", "custom-ca"].map(str::to_owned);
        let mut body = Map::new();
        assert!(clear(&mut body, &all).is_ok());
        let nothing = json!({ "name": "", "exclude": [], "headers": {}, "timeoutMs": 0, "customCa": "" });
        assert_eq!(Value::Object(body.clone()), nothing);
        assert!(clear(&mut body, &all[..1]).is_err());
    }

    #[test]
    fn a_table_says_who_gets_nothing_and_why() {
        let list = json!([
            { "id": "wh_1", "deviceId": null, "enabled": false, "disabledReason": "gone", "format": "wharf", "events": ["*"], "waiting": 0, "deadLetters": 2, "url": "https://a.example/" },
            { "id": "wh_2", "deviceId": "shop", "enabled": true, "failingSince": 5, "format": "waha", "events": ["message"], "waiting": 3, "deadLetters": 0, "url": "https://b.example/" },
        ]);
        let text = webhook_table(&list);
        assert!(text.contains("wh_1  all     off (gone)  wharf"), "{text}");
        assert!(text.contains("wh_2  shop    failing     waha"), "{text}");
    }
}
