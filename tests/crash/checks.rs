//! Checks after all crashes, over REST, of a daemon without traffic.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;

use crate::log::Log;
use crate::process::Http;
use crate::traffic::{Listener, Sender, Text, Writer};

/// Concurrent requests.
const AT_ONCE: usize = 8;

/// Reads the log of a device and checks the invariants of every log.
pub async fn checked_log(http: &Http, device: &str) -> Log {
    let log = Log::read(http, device).await;
    log.check_positions();
    log.check_messages();
    log.check_steps();
    let state = log.state();
    let answer = http.get(&format!("devices/{device}")).await.unwrap();
    assert_eq!(answer.text("/state"), Some(state.name()), "{device}: the log has another state");
    log
}

/// No 201 is lost, and each recipient saw each text once. Returns the number of texts that reached the
/// network twice.
pub async fn sent_once(http: &Http, sender: &Sender, log: &Log) -> usize {
    let created = log.messages("message:created");
    let network = Seen::read(http, &sender.device).await;
    let missing: Vec<_> =
        sender.texts.iter().filter(|text| text.id.is_none()).map(|text| &text.key).collect();
    assert!(missing.is_empty(), "{} has no answer for {missing:?}", sender.device);
    assert_eq!(created.len(), sender.texts.len(), "{}: more messages than were asked for", sender.device);
    stream::iter(sender.accepted())
        .for_each_concurrent(AT_ONCE, |(text, id)| is_there(http, &sender.device, text, id))
        .await;
    for (text, id) in sender.accepted() {
        assert_eq!(created.get(id), Some(&1), "{}: {id}", sender.device);
        network.shown_once(id, &text.body);
    }
    assert_eq!(network.sent.len(), sender.texts.len(), "{}: the network saw others", sender.device);
    network.copied
}

async fn is_there(http: &Http, device: &str, text: &Text, id: &str) {
    let message = http.get(&format!("devices/{device}/messages/{id}")).await.unwrap();
    let message = message.expect(&format!("{id}, which was answered 201"));
    assert_eq!(message["id"], id);
    assert_eq!(message["body"], text.body.as_str(), "{id}");
    let ack = message["ack"].as_i64().unwrap();
    assert!(ack >= 1, "{id} has ack {ack}: {message}");
}

/// Acknowledged inbound messages are stored once, and no others are.
pub async fn received_once(http: &Http, writer: &Writer, log: &Log) {
    let stored = log.messages("message");
    let network = Seen::read(http, &writer.device).await;
    let mut by_body: HashMap<&str, u32> = HashMap::new();
    for entry in log.named("message") {
        *by_body.entry(entry.payload["message"]["body"].as_str().unwrap()).or_default() += 1;
    }
    for written in &writer.written {
        let id = written.id.as_deref().expect("every message was acknowledged in the end");
        assert_eq!(stored.get(id), Some(&1), "{}: {id}", writer.device);
        assert_eq!(by_body.get(written.body.as_str()), Some(&1), "{}: {}", writer.device, written.body);
        assert!(network.acknowledged.contains(&written.network_id), "{}: {id}", writer.device);
    }
}

/// Messages that the network counts as acknowledged are in the log once, regardless of the sender.
pub async fn acknowledged_is_stored(http: &Http, log: &Log) {
    let seen = http.get(&format!("simulator/{}/network", log.device)).await.unwrap();
    if seen.code() == "not_linked" {
        // The testbed stores phones, not devices, and forgets those that were unlinked.
        return;
    }
    let network = Seen::read(http, &log.device).await;
    let stored = log.messages("message");
    let ids: HashSet<&str> = stored.keys().filter_map(|id| id.split('_').nth(2)).collect();
    for acknowledged in &network.acknowledged {
        assert!(
            ids.contains(acknowledged.as_str()),
            "{}: {acknowledged} was acknowledged and lost",
            log.device
        );
    }
}

/// The events that a client received before and after crashes equal the log, without a gap.
pub fn received_the_log(listener: &Listener, log: &Log) {
    for entry in &log.entries {
        let Some((name, payload)) = listener.received.get(&entry.seq) else {
            // The last events may follow the client's end.
            assert!(
                listener.received.keys().next_back().is_none_or(|last| *last < entry.seq),
                "{entry:?} was not received"
            );
            continue;
        };
        assert_eq!(
            (name, payload),
            (&entry.name, &entry.payload),
            "{}: received with other content",
            log.device
        );
    }
    let beyond = listener
        .received
        .keys()
        .next_back()
        .is_some_and(|last| *last > log.entries.last().map_or(0, |e| e.seq));
    assert!(!beyond, "{}: an emitted event was lost", log.device);
}

/// The chats of a device contain each message of the log once, read page by page.
pub async fn chats_hold_the_log(http: &Http, log: &Log) {
    let mut found: HashMap<String, u32> = HashMap::new();
    for chat in chats(http, &log.device).await {
        for id in chat_messages(http, &log.device, &chat).await {
            *found.entry(id).or_default() += 1;
        }
    }
    let mut expected = log.messages("message");
    expected.extend(log.messages("message:created"));
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{}: {twice:?}", log.device);
    let lost: Vec<_> = expected.keys().filter(|id| !found.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{}: in the log and in no chat: {lost:?}", log.device);
    assert_eq!(found.len(), expected.len(), "{}: messages without an event", log.device);
}

async fn chats(http: &Http, device: &str) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let path = format!("devices/{device}/chats?limit=100&offset={}", ids.len());
        let page = http.get(&path).await.unwrap().expect("a page of chats");
        let page = page.as_array().unwrap();
        ids.extend(page.iter().map(|chat| chat["id"].as_str().unwrap().to_owned()));
        if page.len() < 100 {
            return ids;
        }
    }
}

async fn chat_messages(http: &Http, device: &str, chat: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut before = String::new();
    loop {
        let path = format!("devices/{device}/chats/{chat}/messages?limit=100{before}");
        let answer = http.get(&path).await.unwrap();
        let page = answer.clone().expect("a page of messages");
        let page = page.as_array().unwrap();
        ids.extend(page.iter().map(|message| message["id"].as_str().unwrap().to_owned()));
        let more = answer.body.pointer("/pagination/hasMore").and_then(Value::as_bool).unwrap();
        if !more {
            return ids;
        }
        before = format!("&before={}", page.first().unwrap()["id"].as_str().unwrap());
    }
}

/// The simulated network's view of a device.
pub struct Seen {
    /// Messages of which several copies arrived.
    pub copied: usize,
    /// Body and number of displays to the recipient, by network id.
    sent: HashMap<String, (String, i64)>,
    /// Number of messages by body.
    bodies: HashMap<String, u32>,
    /// Acknowledged network ids.
    acknowledged: HashSet<String>,
}

impl Seen {
    /// Queries the network.
    pub async fn read(http: &Http, device: &str) -> Self {
        let seen = http.get(&format!("simulator/{device}/network")).await.unwrap().expect("the network");
        let (mut sent, mut bodies, mut copied) = (HashMap::new(), HashMap::new(), 0);
        for message in seen["sent"].as_array().unwrap() {
            let id = message["networkId"].as_str().unwrap().to_owned();
            let body = message["body"].as_str().unwrap().to_owned();
            *bodies.entry(body.clone()).or_default() += 1;
            copied += usize::from(message["arrivals"].as_i64().unwrap() > 1);
            let twice = sent.insert(id, (body, message["shown"].as_i64().unwrap()));
            assert!(twice.is_none(), "{device}: one network id for two messages: {message}");
        }
        let garbled = seen["undecryptable"].as_array().is_some_and(|garbled| !garbled.is_empty());
        assert!(!garbled, "{device}: the phones could not decrypt {}", seen["undecryptable"]);
        let acknowledged = seen["acknowledged"].as_array().unwrap();
        let acknowledged = acknowledged.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        Self { copied, sent, bodies, acknowledged }
    }

    /// The recipient saw this body once, from this message.
    pub fn shown_once(&self, id: &str, body: &str) {
        let network_id = id.split('_').nth(2).unwrap();
        assert_eq!(self.sent.get(network_id), Some(&(body.to_owned(), 1)), "{id}");
        assert_eq!(self.bodies.get(body), Some(&1), "{id}: {body:?} was shown as more than one message");
    }

    /// The number of messages with this body.
    pub fn count_of(&self, body: &str) -> u32 {
        self.bodies.get(body).copied().unwrap_or(0)
    }

    /// Whether the network counts this message as delivered to the device.
    pub fn acknowledged(&self, network_id: &str) -> bool {
        self.acknowledged.contains(network_id)
    }
}
