//! Latency seen by users of healthy devices: of a send, and from an incoming message to its event.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};
use wharf::net::sse::SseParser;

use crate::fleet::name;
use crate::latency::Latencies;
use crate::process::Http;

/// Number of probed devices.
pub const PROBED: u32 = 8;
/// Pause between two probes of one device.
const EVERY: Duration = Duration::from_millis(250);
/// Longest wait for a probe; exceeding it ends the bench.
const PATIENCE: Duration = Duration::from_secs(30);

/// The samples of all probes.
#[derive(Default)]
pub struct Probed {
    /// From a REST send to its 201.
    pub send: Latencies,
    /// From a contact's message to its `message` event in the event stream.
    pub receive: Latencies,
}

/// Probes the first devices until this time.
pub async fn run(http: &Http, until: Instant) -> Probed {
    let probes = (0..PROBED).map(|n| Probe::open(http, n));
    let probes = join_all(probes).await;
    let mut all = Probed::default();
    for probed in join_all(probes.into_iter().map(|probe| probe.run(until))).await {
        all.send.extend(probed.send);
        all.receive.extend(probed.receive);
    }
    all
}

struct Probe<'a> {
    http: &'a Http,
    device: String,
    events: Events,
    first: Instant,
    probed: Probed,
}

impl<'a> Probe<'a> {
    async fn open(http: &'a Http, n: u32) -> Self {
        let device = name(n);
        let stream = http.stream(&device, None, "?types=message").await.unwrap();
        let first = Instant::now() + EVERY * n / PROBED;
        Self { http, device, events: Events::new(stream), first, probed: Probed::default() }
    }

    async fn run(mut self, until: Instant) -> Probed {
        let mut next = self.first;
        let mut count = 0_u64;
        while next < until {
            sleep_until(next).await;
            self.receive(count).await;
            self.send(count).await;
            count += 1;
            next = (next + EVERY).max(Instant::now());
        }
        self.probed
    }

    async fn send(&mut self, count: u64) {
        let body = json!({ "to": "15550100001", "text": format!("probe {count}") });
        let path = format!("devices/{}/messages/send", self.device);
        let began = Instant::now();
        let answer = self.http.post(&path, &body).await.unwrap();
        self.probed.send.add(began.elapsed());
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    async fn receive(&mut self, count: u64) {
        let network_id = format!("PROBE{count:08}");
        let body = json!({ "from": "15550100002", "body": "probe", "networkId": network_id });
        let path = format!("simulator/{}/incoming", self.device);
        let began = Instant::now();
        let received = async {
            self.events.wait_for(&network_id).await;
            began.elapsed()
        };
        let both = async { tokio::join!(self.http.post(&path, &body), received) };
        let (answer, elapsed) = timeout(PATIENCE, both).await.expect("the event of an incoming message");
        answer.unwrap().expect("incoming");
        self.probed.receive.add(elapsed);
    }
}

/// The `message` events of a device.
pub struct Events {
    stream: Response,
    parser: SseParser,
}

impl Events {
    /// Of this stream.
    pub fn new(stream: Response) -> Self {
        Self { stream, parser: SseParser::default() }
    }

    /// Reads until the event of this message.
    pub async fn wait_for(&mut self, network_id: &str) {
        loop {
            let chunk = self.stream.chunk().await.unwrap().expect("the stream stays open");
            let events = self.parser.push(&chunk).unwrap();
            let received = events.iter().any(|event| {
                let payload: Value = serde_json::from_str(&event.data).unwrap_or_default();
                let id = payload.pointer("/message/id").and_then(Value::as_str);
                id.is_some_and(|id| id.ends_with(network_id))
            });
            if received {
                return;
            }
        }
    }
}
