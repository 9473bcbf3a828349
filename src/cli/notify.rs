//! `wharf notify …`: tests actions of notifications, lists rules and notifications, and mutes.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, moment_of, short, table, text_of};
use super::time_format::parse_duration_ms;
use crate::domain::clock::Clock;
use crate::domain::ids::DeviceId;

/// `wharf notify …`
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Test an action: show, play, run or push one, and print the result
    #[command(after_help = TEST_HELP)]
    Test(TestArgs),
    /// List the rules in the order of evaluation
    Rules(OfDevice),
    /// List notifications
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Mute a device's notifications in this key's dashboards and browsers, or with --everybody all of them
    Mute(MuteArgs),
    /// Unmute a device's notifications
    Unmute(UnmuteArgs),
}

const TEST_HELP: &str = "\
Examples:
  wharf notify test desktop
  wharf notify test sound --sound call
  wharf notify test command --command lamp
  wharf notify test dashboard --device shop";

/// `wharf notify test`
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The action to test
    #[arg(value_name = "ACTION", value_parser = ["dashboard", "desktop", "sound", "command", "webhook", "push"])]
    pub action: String,

    /// Name of the sound; message if left out
    #[arg(long, value_name = "NAME")]
    pub sound: Option<String>,

    /// Name of an entry of notify.commands; the only one if left out
    #[arg(long, value_name = "NAME")]
    pub command: Option<String>,

    /// The device whose log gets the entry; required for dashboard and webhook
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceId>,
}

/// An optional device.
#[derive(Debug, Args)]
pub struct OfDevice {
    /// Only those of this device; those of all devices if left out
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceId>,
}

/// `wharf notify list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The device.
    #[command(flatten)]
    pub of: OfDevice,

    /// Only what this key has not read
    #[arg(long)]
    pub unread: bool,
}

/// `wharf notify mute`
#[derive(Debug, Args)]
pub struct MuteArgs {
    /// The device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Duration, such as 1h; until it is unmuted if left out
    #[arg(long = "for", value_parser = parse_duration_ms, value_name = "DURATION")]
    pub duration: Option<i64>,

    /// The notifications to mute.
    #[command(flatten)]
    pub what: Muted,
}

/// `wharf notify unmute`
#[derive(Debug, Args)]
pub struct UnmuteArgs {
    /// The device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// The notifications to unmute.
    #[command(flatten)]
    pub what: Muted,
}

/// Selects the muted notifications of a device.
#[derive(Debug, Args)]
pub struct Muted {
    /// Only this chat
    #[arg(long, value_name = "CHAT")]
    pub chat: Option<String>,

    /// For all operators instead of this key only: no notification is created
    #[arg(long)]
    pub everybody: bool,
}

/// Runs a command.
///
/// # Errors
/// The daemon's error; [`CliError::Failed`] when a tested action was not carried out.
pub async fn run(
    command: &NotifyCommand,
    client: &Client,
    clock: &dyn Clock,
    out: &Output,
) -> Result<(), CliError> {
    match command {
        NotifyCommand::Test(args) => test(args, client, out).await,
        NotifyCommand::Rules(args) => {
            let list = client.get(&path(args.device.as_ref(), "rules"), &[]).await?;
            out.show(&list, || rule_table(&list))
        }
        NotifyCommand::List(args) => {
            let query = [("unread", args.unread.to_string()), ("limit", "100".to_owned())];
            let of: Vec<&str> = path(args.of.device.as_ref(), "");
            let list = client.get(&of, &query).await?;
            out.show(&list, || notification_table(&list))
        }
        NotifyCommand::Mute(args) => {
            let mut body = what(&args.what);
            if let Some(ms) = args.duration {
                body.insert("until".to_owned(), clock.now().plus(ms).0.into());
            }
            let answer = client.post(&path(Some(&args.device), "mute"), &Value::Object(body)).await?;
            out.show(&answer, || muted_text(args))
        }
        NotifyCommand::Unmute(args) => {
            let body = Value::Object(what(&args.what));
            let answer = client.post(&path(Some(&args.device), "unmute"), &body).await?;
            out.show(&answer, || unmuted_text(args))
        }
    }
}

async fn test(args: &TestArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let TestArgs { action, sound, command, device } = args;
    if device.is_none() && matches!(action.as_str(), "dashboard" | "webhook") {
        return Err(CliError::Usage("give --device: the test is written to its log".to_owned()));
    }
    let device = device.as_ref().map(DeviceId::as_str);
    let body = json!({ "action": action, "sound": sound, "command": command, "deviceId": device });
    let answer = client.post(&["notifications", "test"], &body).await?;
    if answer["done"] == false {
        return Err(CliError::Failed(text_of(&answer, "said")));
    }
    out.show(&answer, || text_of(&answer, "said"))
}

fn path<'a>(device: Option<&'a DeviceId>, last: &'a str) -> Vec<&'a str> {
    let mut path = match device {
        Some(device) => vec!["devices", device.as_str(), "notifications"],
        None => vec!["notifications"],
    };
    path.extend(Some(last).filter(|last| !last.is_empty()));
    path
}

/// Describes what was muted. A mute for one key does not affect the desktop, sounds, commands and webhooks.
fn muted_text(args: &MuteArgs) -> String {
    let of = subject(&args.device, &args.what);
    let how_long = match args.duration {
        Some(_) => "for the given time",
        None => "until they are unmuted",
    };
    if args.what.everybody {
        return format!("{of} are muted for everybody, {how_long}: no notification is created");
    }
    format!(
        "{of} are muted {how_long} in the dashboards and browsers of this key alone; desktop, sounds, commands and \
         webhooks are not affected. --everybody mutes all of them"
    )
}

fn unmuted_text(args: &UnmuteArgs) -> String {
    let of = subject(&args.device, &args.what);
    if args.what.everybody {
        return format!("{of} are no longer muted for everybody");
    }
    format!("{of} are no longer muted for this key; --everybody removes mutes for everybody")
}

fn subject(device: &DeviceId, muted: &Muted) -> String {
    match &muted.chat {
        Some(chat) => format!("The notifications of {chat} of {device}"),
        None => format!("The notifications of {device}"),
    }
}

fn what(muted: &Muted) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(chat) = &muted.chat {
        body.insert("chatId".to_owned(), chat.as_str().into());
    }
    if muted.everybody {
        body.insert("everybody".to_owned(), true.into());
    }
    body
}

fn rows_of(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().into_iter().flatten().map(row).collect()
}

fn rule_table(list: &Value) -> String {
    let rows = rows_of(list, |rule| {
        vec![
            text_of(rule, "id"),
            text_of(rule, "origin"),
            short(&text_of(rule, "name"), 30),
            if rule["enabled"] == false { "off".to_owned() } else { "on".to_owned() },
            short(&rule["match"].to_string(), 60),
            text_of(rule, "actions"),
        ]
    });
    table(&["ID", "FROM", "NAME", "STATE", "MATCHES", "ACTIONS"], &rows)
}

fn notification_table(list: &Value) -> String {
    let rows = rows_of(list, |told| {
        vec![
            moment_of(told, "timestamp"),
            text_of(told, "deviceId"),
            text_of(told, "kind"),
            text_of(told, "priority"),
            if told["read"] == true { String::new() } else { "new".to_owned() },
            short(&text_of(told, "title"), 40),
            short(&text_of(told, "body"), 60),
        ]
    });
    table(&["AT", "DEVICE", "WHAT", "PRIORITY", "", "TITLE", "BODY"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notification_text_has_no_terminal_controls() {
        let list = json!([{ "timestamp": 0, "deviceId": "shop", "kind": "message", "priority": "high", "read": false,
            "title": "Anna\u{1b}[31m", "body": "hello\nthere" }]);
        let text = notification_table(&list);
        assert!(text.contains("shop") && text.contains("new") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(text.trim_end().lines().count(), 2, "{text}");
    }

    #[test]
    fn mute_text_names_its_scope() {
        let mut args = MuteArgs {
            device: "shop".parse().unwrap(),
            duration: None,
            what: Muted { chat: None, everybody: false },
        };
        let own = muted_text(&args);
        assert!(own.starts_with("The notifications of shop are muted until they are unmuted in"), "{own}");
        assert!(own.contains("this key alone") && own.contains("--everybody"), "{own}");
        args.what = Muted { chat: Some("15550100001@c.us".to_owned()), everybody: true };
        let all = muted_text(&args);
        assert!(all.contains("15550100001@c.us of shop are muted for everybody"), "{all}");
    }

    #[test]
    fn path_includes_device_if_given() {
        let shop = "shop".parse().unwrap();
        assert_eq!(path(Some(&shop), "rules"), ["devices", "shop", "notifications", "rules"]);
        assert_eq!(path(None, ""), ["notifications"]);
    }
}
