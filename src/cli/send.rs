//! `wharf send`: sends one text message, and waits for the requested status.

use std::io::Read as _;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, text_of};
use crate::domain::ack::{Ack, Status};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

/// `wharf send`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SendArgs {
    /// The sending device
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,

    /// Phone number with country code, or a chat id such as 120363000000000001@g.us
    #[arg(value_name = "TO")]
    pub to: Jid,

    /// The text; - reads it from standard input
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub text: String,

    /// Makes a repetition safe: the same key within 24 hours does not send again
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,

    /// Wait until the message has this status
    #[arg(long, value_enum, default_value = "queued", value_name = "STEP")]
    pub wait: Step,

    /// Time limit of --wait in seconds; then the command fails, and the message may still be sent
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
}

const EXAMPLES: &str = "\
Examples:
  wharf send shop +15550100001 \"Your order is ready\"
  wharf send shop 15550100001 \"Your order is ready\" --idempotency-key order-17 --wait delivered
  wharf send shop 120363000000000001@g.us - < notice.txt";

/// Status of a message that `--wait` supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Stored by the daemon; it will be sent
    Queued,
    /// Accepted by the network
    Sent,
    /// On the recipient's device
    Delivered,
    /// Read by the recipient
    Read,
}

impl Step {
    fn reached_with(self) -> Ack {
        match self {
            Self::Queued => Ack::Pending,
            Self::Sent => Ack::Server,
            Self::Delivered => Ack::Device,
            Self::Read => Ack::Read,
        }
    }
}

const MAX_TEXT: u64 = 1024 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Sends the message, and waits as requested.
///
/// # Errors
/// [`CliError::Failed`] when the message fails or the time limit is reached; otherwise the daemon's error.
pub async fn run(args: SendArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let text = if args.text == "-" { standard_input()? } else { args.text };
    let mut body = Map::new();
    body.insert("to".to_owned(), args.to.to_string().into());
    body.insert("text".to_owned(), text.into());
    let path = ["devices", args.device.as_str(), "messages", "send"];
    let body = Value::Object(body);
    let sent = match &args.idempotency_key {
        Some(key) => client.post_with(&path, &body, ("Idempotency-Key", key)).await?,
        None => client.post(&path, &body).await?,
    };
    let id = text_of(&sent, "id");
    if args.wait == Step::Queued {
        return out.show(&sent, || format!("queued {id}"));
    }
    out.note(&format!("queued {id}"));
    let message = wait(&args.device, &id, args.wait, Duration::from_secs(args.timeout), client).await?;
    out.show(&message, || format!("{} {id}", Status::of(ack_of(&message)).as_str()))
}

fn standard_input() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin().take(MAX_TEXT).read_to_string(&mut text)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(CliError::Usage("standard input has no text".to_owned()));
    }
    Ok(text.to_owned())
}

async fn wait(
    device: &DeviceId,
    id: &str,
    step: Step,
    timeout: Duration,
    client: &Client,
) -> Result<Value, CliError> {
    let begin = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let message = client.get(&["devices", device.as_str(), "messages", id], &[]).await;
        match message {
            Ok(message) => {
                let ack = ack_of(&message);
                if ack == Ack::Error {
                    return Err(CliError::Failed(failure(&message)));
                }
                if ack >= step.reached_with() {
                    return Ok(message);
                }
                if begin.elapsed() >= timeout {
                    let status = Status::of(ack).as_str();
                    return Err(CliError::Failed(format!(
                        "{id} is only {status} after {} s",
                        timeout.as_secs()
                    )));
                }
            }
            // The message is stored: wait for a daemon that is busy or restarts.
            Err(error) if error.is_passing() && begin.elapsed() < timeout => {}
            Err(error) => return Err(error.into()),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn ack_of(message: &Value) -> Ack {
    let level = message.get("ack").and_then(Value::as_i64).unwrap_or(0);
    Ack::try_from(level).unwrap_or(Ack::Pending)
}

fn failure(message: &Value) -> String {
    let why = ["error", "errorMessage", "code", "errorCode"].map(|field| text_of(message, field));
    match why.into_iter().find(|text| !text.is_empty()) {
        Some(why) => format!("the message failed: {why}"),
        None => "the message failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wait_steps_map_to_ack_levels() {
        assert!(Ack::Played >= Step::Read.reached_with());
        assert!(Ack::Server < Step::Delivered.reached_with());
        assert_eq!(ack_of(&json!({ "ack": -1 })), Ack::Error);
        assert_eq!(ack_of(&json!({})), Ack::Pending);
    }

    #[test]
    fn failed_send_states_reason_if_available() {
        assert_eq!(
            failure(&json!({ "error": "not on the network" })),
            "the message failed: not on the network"
        );
        assert_eq!(failure(&json!({})), "the message failed");
    }
}
