//! `wharf tail`: prints the events of one, several or all devices as they happen.
//!
//! Each device has its own stream. A broken stream is resumed after the last printed event, so that a restart
//! of the daemon causes neither gaps nor duplicates.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::client::{Client, ClientError};
use super::event_line::summary;
use super::exit::{CliError, Exit};
use super::output::{Output, clean, text_of};
use super::time_format::time_of_day;
use crate::domain::backoff::Backoff;
use crate::domain::ids::DeviceId;
use crate::net::sse::{SseEvent, SseParser};

/// `wharf tail`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TailArgs {
    /// The devices; without any, all devices including later ones
    #[arg(value_name = "DEVICE")]
    pub devices: Vec<DeviceId>,

    /// Follow the conversations of operator chat instead of devices
    #[arg(long, conflicts_with = "devices")]
    pub chat: bool,

    /// Begin after this sequence number; 0 begins with the oldest stored event
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,

    /// Only these types of events, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    pub types: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  wharf tail                                   all devices, from now on
  wharf tail shop --since 0                    one device, from the beginning
  wharf tail shop --types message,message:ack
  wharf tail --chat                            events of conversations
  wharf tail --json | jq -r 'select(.event == \"message\") | .message.body'

Ctrl-C ends it. With --json each event is one line: its payload, with its name in `event`.";

/// Maximum concurrent streams; each is a connection.
const MAX_DEVICES: usize = 256;
const CHECK_NEW_DEVICES: Duration = Duration::from_secs(3);
/// The daemon sends a comment at least every 30 seconds; a stream without data for this long is broken.
const SILENCE: Duration = Duration::from_secs(90);
const BACKOFF: Backoff = Backoff { initial_ms: 500, max_ms: 10_000 };

/// Prints events until an error ends the command.
///
/// # Errors
/// The daemon's error, or [`CliError::Terminal`] when standard output is closed.
pub async fn run(args: TailArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    if args.chat {
        return Err(follow(LogName::Chat, args.since, &args, client, out).await.error);
    }
    if args.devices.is_empty() {
        return follow_all(&args, client, out).await;
    }
    let devices: BTreeSet<&DeviceId> = args.devices.iter().collect();
    if let [device] = args.devices.as_slice() {
        return Err(follow(device.clone().into(), args.since, &args, client, out).await.error);
    }
    within_limit(devices.len())?;
    let mut streams: FuturesUnordered<_> = devices
        .into_iter()
        .map(|device| follow(device.clone().into(), args.since, &args, client, out))
        .collect();
    let mut first = None;
    while let Some(ended) = streams.next().await {
        let exit = ended.report(out)?;
        first.get_or_insert(exit);
    }
    Err(CliError::Reported(first.unwrap_or(Exit::Ok)))
}

/// Follows the existing devices, and checks for new ones regularly.
async fn follow_all(args: &TailArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut known = BTreeSet::new();
    let mut streams = FuturesUnordered::new();
    for device in devices_of(client).await? {
        known.insert(device.clone());
        streams.push(follow(device.into(), args.since, args, client, out));
    }
    within_limit(known.len())?;
    if known.is_empty() {
        out.note("No devices yet; waiting for the first one.");
    }
    let mut ticks = interval(CHECK_NEW_DEVICES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(ended) = streams.next() => {
                if let LogName::Device(device) = &ended.log {
                    known.remove(device);
                }
                if ended.error.exit() != Exit::NotFound {
                    return Err(ended.error);
                }
                out.note(&format!("{} was deleted", ended.log));
            }
            _ = ticks.tick() => {
                for device in new_devices(&known, client).await? {
                    known.insert(device.clone());
                    within_limit(known.len())?;
                    // All events of a new device are new, so begin with its first.
                    streams.push(follow(device.into(), Some(0), args, client, out));
                }
            }
        }
    }
}

fn within_limit(count: usize) -> Result<(), CliError> {
    if count > MAX_DEVICES {
        return Err(CliError::Usage(format!(
            "{count} devices are too many to follow at once; name up to {MAX_DEVICES}"
        )));
    }
    Ok(())
}

async fn devices_of(client: &Client) -> Result<Vec<DeviceId>, ClientError> {
    let devices = client.get_list(&["devices"]).await?;
    Ok(devices.iter().filter_map(|device| device.get("id")?.as_str()?.parse().ok()).collect())
}

async fn new_devices(known: &BTreeSet<DeviceId>, client: &Client) -> Result<Vec<DeviceId>, ClientError> {
    match devices_of(client).await {
        Ok(devices) => Ok(devices.into_iter().filter(|device| !known.contains(device)).collect()),
        Err(error) if error.is_passing() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The log of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LogName {
    Device(DeviceId),
    Chat,
}

impl From<DeviceId> for LogName {
    fn from(device: DeviceId) -> Self {
        Self::Device(device)
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => device.fmt(f),
            Self::Chat => f.write_str("chat"),
        }
    }
}

/// A stream that will not be resumed.
struct TailEnd {
    log: LogName,
    error: CliError,
}

impl TailEnd {
    /// Prints the reason and returns its exit code; fails when standard output is closed.
    fn report(self, out: &Output) -> Result<Exit, CliError> {
        if matches!(self.error, CliError::Terminal(_)) {
            return Err(self.error);
        }
        out.note(&format!("{}:", self.log));
        out.error(&self.error);
        Ok(self.error.exit())
    }
}

async fn follow(log: LogName, since: Option<u64>, args: &TailArgs, client: &Client, out: &Output) -> TailEnd {
    let mut position = since.map(|seq| seq.to_string());
    let mut attempt = 0;
    let mut was_connected = false;
    loop {
        match connect(&log, position.as_deref(), args, client).await {
            Ok(stream) => {
                if attempt > 0 {
                    out.note(&format!("{log}: connected again"));
                }
                was_connected = true;
                match read(stream, &log, &mut position, out).await {
                    // Count as a failure, so that a stream that only opens and closes is retried with
                    // backoff.
                    Ok(Received::Nothing) => {}
                    Ok(Received::Something) => attempt = 0,
                    Err(error) => return TailEnd { log, error },
                }
            }
            Err(error) if was_connected && error.is_passing() => {}
            Err(error) => return TailEnd { log, error: error.into() },
        }
        attempt += 1;
        if attempt == 1 {
            out.note(&format!("{log}: the stream ended; connecting again"));
        }
        sleep(Duration::from_millis(BACKOFF.delay_ms(attempt, jitter()))).await;
    }
}

/// Whether a stream had events before it ended.
enum Received {
    Nothing,
    Something,
}

/// Random number between 0 and 1; its quality does not matter, only that clients differ.
fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

async fn connect(
    log: &LogName,
    position: Option<&str>,
    args: &TailArgs,
    client: &Client,
) -> Result<Response, ClientError> {
    let mut query = Vec::new();
    if !args.types.is_empty() {
        query.push(("types", args.types.join(",")));
    }
    let path = match log {
        LogName::Device(device) => ["devices", device.as_str(), "events"].to_vec(),
        LogName::Chat => ["conversations", "events"].to_vec(),
    };
    client.stream(&path, &query, position).await
}

/// Prints events until the stream ends, and updates the position. An error ends the command.
async fn read(
    mut stream: Response,
    log: &LogName,
    position: &mut Option<String>,
    out: &Output,
) -> Result<Received, CliError> {
    let mut parser = SseParser::default();
    let mut received = Received::Nothing;
    // Silence is handled as a broken connection: the stream is resumed.
    while let Ok(Ok(Some(chunk))) = timeout(SILENCE, stream.chunk()).await {
        received = Received::Something;
        let events = parser.push(&chunk).map_err(|error| CliError::Failed(error.to_string()))?;
        for event in events {
            print(&event, log, out)?;
        }
        if let Some(id) = parser.last_id() {
            *position = Some(id.to_owned());
        }
    }
    Ok(received)
}

fn print(event: &SseEvent, log: &LogName, out: &Output) -> Result<(), CliError> {
    let payload = serde_json::from_str(&event.data).unwrap_or_else(|_| Value::from(event.data.as_str()));
    out.line(&line_for_programs(&event.name, &payload), || line_for_people(&event.name, log, &payload))
}

fn line_for_programs(name: &str, payload: &Value) -> Value {
    let Value::Object(fields) = payload else {
        return json!({ "event": name, "data": payload });
    };
    let mut fields = fields.clone();
    fields.insert("event".to_owned(), name.into());
    Value::Object(fields)
}

fn line_for_people(name: &str, log: &LogName, payload: &Value) -> String {
    let time = payload
        .get("timestamp")
        .and_then(Value::as_i64)
        .map_or_else(|| "--:--:--.---".to_owned(), time_of_day);
    let seq = match text_of(payload, "seq") {
        seq if seq.is_empty() => "-".to_owned(),
        seq => format!("#{seq}"),
    };
    format!("{time}  {:<8}  {seq:>5}  {:<15}  {}", log.to_string(), clean(name), summary(name, payload))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_line_has_time_device_event_and_summary() {
        let log = LogName::Device("demo".parse().unwrap());
        let payload =
            json!({ "deviceId": "demo", "timestamp": 1_709_210_096_789_i64, "seq": 12, "state": "ready" });
        assert_eq!(
            line_for_people("state", &log, &payload),
            "12:34:56.789  demo        #12  state            ready"
        );
    }

    #[test]
    fn json_line_is_payload_with_event_name() {
        let payload = json!({ "deviceId": "demo", "seq": 1 });
        assert_eq!(
            line_for_programs("ready", &payload),
            json!({ "event": "ready", "deviceId": "demo", "seq": 1 })
        );
        assert_eq!(line_for_programs("x", &json!("text")), json!({ "event": "x", "data": "text" }));
    }
}
