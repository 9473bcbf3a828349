//! SIGKILL under traffic through an upstream, which runs in the test and outlives the daemons.
//!
//! `WHARF_TEST_ENGINE` selects the engine (default `cloud-api`), `WHARF_CRASH_ROUNDS` the number of rounds. A
//! message that was answered 201 arrived or is still in flight: without deduplication an interrupted send is
//! not repeated. No message arrives twice; incoming messages are stored once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::process::{Daemon, DaemonHome, Http, SeededRng};
use crate::rounds::number;
use crate::tally::Tally;
use crate::upstream::{self, Upstream};

const ROUNDS: u64 = 30;
/// Lifetime of a round's daemon after its device is ready, in milliseconds.
const LIFE_MS: (u64, u64) = (50, 700);
const PEOPLE: [&str; 3] = ["15550100001", "15550100002", "15550100003"];
/// Limit for the results of messages in flight at the last kill.
const IDLE_WITHIN: Duration = Duration::from_secs(60);

struct Traffic {
    upstream: Arc<dyn Upstream>,
    client: reqwest::Client,
    /// Texts by whether a 201 was received; the text is the idempotency key.
    sent: BTreeMap<String, bool>,
    /// Texts that contacts wrote; the network has all of them.
    written: BTreeSet<String>,
}

impl Traffic {
    /// Sends until the daemon was killed; repeats unanswered requests with the same key.
    async fn send(sent: &mut BTreeMap<String, bool>, http: &Http, round: u64) {
        for number in 0_usize.. {
            let open = sent.iter().find(|(_, answered)| !**answered).map(|(text, _)| text.clone());
            let text = open.unwrap_or_else(|| format!("out {round} {number}"));
            sent.entry(text.clone()).or_insert(false);
            let to = PEOPLE[text.len() % PEOPLE.len()];
            let body = json!({ "to": to, "text": text });
            match http.post_once("devices/shop/messages/send", &body, &text.replace(' ', "-")).await {
                Ok(answer) if answer.status == 201 => {
                    sent.insert(text, true);
                }
                Ok(answer) if answer.status == 503 || answer.status == 429 => {}
                Ok(answer) => panic!("{} {}", answer.status, answer.body),
                Err(_) => return,
            }
            sleep(Duration::from_millis(15)).await;
        }
    }

    async fn write(&self, round: u64, number: usize) -> Option<String> {
        let text = format!("in {round} {number}");
        let url = format!("{}/api/v1/simulator/shop/incoming", self.upstream.steering());
        let body = json!({ "from": PEOPLE[number % PEOPLE.len()], "body": text });
        // The network has the message even if the answer is late.
        let asked = self.client.post(url).json(&body).send();
        let _ = timeout(Duration::from_millis(300), asked).await;
        Some(text)
    }

    async fn network(&self) -> Vec<Value> {
        let url = format!("{}/api/v1/simulator/shop/network", self.upstream.steering());
        let answer: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        answer["data"]["sent"].as_array().unwrap().clone()
    }
}

async fn ready(http: &Http) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let device = http.get("devices/shop").await.unwrap().expect("the device");
        if device["state"] == "ready" {
            return;
        }
        assert!(Instant::now() < until, "the device does not come back: {device}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn round(traffic: &mut Traffic, daemon: Daemon, round: u64, life: Duration) {
    ready(&daemon.http).await;
    let http = daemon.http.clone();
    let mut sent = std::mem::take(&mut traffic.sent);
    let mut written = BTreeSet::new();
    {
        let writing = async {
            for number in 0_usize.. {
                written.extend(traffic.write(round, number).await);
                sleep(Duration::from_millis(15)).await;
            }
        };
        let sending = Traffic::send(&mut sent, &http, round);
        tokio::select! {
            () = writing => {}
            () = sending => {}
            () = sleep(life) => {}
        }
    }
    daemon.kill();
    traffic.sent = sent;
    traffic.written.extend(written);
}

/// Number of events of one type by message text.
async fn received(http: &Http) -> BTreeMap<String, usize> {
    let (mut after, mut bodies) = (0, BTreeMap::new());
    loop {
        let page = http.get(&format!("devices/shop/events?after={after}&limit=100")).await.unwrap();
        let page = page.expect("the log");
        let entries = page.as_array().unwrap();
        let Some(last) = entries.last() else { return bodies };
        after = last["seq"].as_i64().unwrap();
        for entry in entries.iter().filter(|entry| entry["type"] == "message") {
            *bodies.entry(entry["payload"]["message"]["body"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
}

/// Statuses of our messages by text.
async fn statuses(http: &Http) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut after, mut texts) = (0, BTreeMap::new());
    loop {
        let page = http.get(&format!("devices/shop/events?after={after}&limit=100")).await.unwrap();
        let page = page.expect("the log");
        let entries = page.as_array().unwrap();
        let Some(last) = entries.last() else { return all };
        after = last["seq"].as_i64().unwrap();
        for entry in entries {
            let payload = &entry["payload"];
            if entry["type"] == "message:created" {
                let (id, body) = (payload["message"]["id"].clone(), payload["message"]["body"].clone());
                texts.insert(id.to_string(), body.as_str().unwrap().to_owned());
            }
            if entry["type"] == "message:status"
                && let Some(text) = texts.get(&payload["messageId"].to_string())
            {
                all.entry(text.clone()).or_default().push(payload["status"].as_str().unwrap().to_owned());
            }
        }
    }
}

fn engine() -> String {
    let named = std::env::var("WHARF_TEST_ENGINE").unwrap_or_default();
    if matches!(named.as_str(), "" | "simulator" | "whatsapp") { "cloud-api".to_owned() } else { named }
}

fn rounds() -> u64 {
    number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS)
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_random_kills_with_upstream_lose_nothing() {
    let upstream = upstream::start(&engine()).await.expect("an engine with an upstream");
    let mut home = DaemonHome::new()
        .with("supervisor.backoff_initial_ms", "10")
        .with("supervisor.backoff_max_ms", "100")
        .with("outbox.retry_delay_ms", "20")
        .with("outbox.max_attempts", "1000000");
    for (name, value) in upstream.settings() {
        home = home.with(&name.trim_start_matches("WHARF__").replace("__", "."), &value);
    }
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new(&format!("kills-{}", engine()), seed);
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let daemon = home.start().await;
    upstream.attached(daemon.http.base()).await;
    let world = json!({ "ackServerMs": 1, "ackDeviceMs": 3, "ackReadMs": null });
    let settings = upstream.device_settings("shop", &world).await;
    let body = json!({ "id": "shop", "engine": upstream.engine(), "settings": settings });
    daemon.http.post("devices", &body).await.unwrap().expect("the device");
    if upstream.capabilities().qr {
        let scan = format!("{}/api/v1/simulator/shop/scan", upstream.steering());
        let scanner = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !scanner.post(&scan).json(&json!({})).send().await.is_ok_and(|answer| answer.status() == 200) {
            assert!(Instant::now() < until, "no code to scan");
            sleep(Duration::from_millis(50)).await;
        }
    }
    let mut traffic = Traffic {
        upstream: Arc::clone(&upstream),
        client: client.build().unwrap(),
        sent: BTreeMap::new(),
        written: BTreeSet::new(),
    };
    let mut daemon = Some(daemon);
    for number in 0..rounds() {
        let running = match daemon.take() {
            Some(running) => running,
            None => home.start().await,
        };
        upstream.attached(running.http.base()).await;
        let life = Duration::from_millis(rng.between(LIFE_MS.0, LIFE_MS.1));
        round(&mut traffic, running, number, life).await;
        tally.rounds += 1;
    }
    let last = home.start().await;
    upstream.attached(last.http.base()).await;
    ready(&last.http).await;
    wait_until_idle(&traffic, &last.http).await;
    last.kill();
    tally.add("texts sent", traffic.sent.len());
    tally.add("messages received", traffic.written.len());
    tally.count_panics(&home);
    tally.check();
}

/// Waits until all incoming messages are stored and all arrivals are acknowledged.
async fn wait_until_idle(traffic: &Traffic, http: &Http) {
    let until = Instant::now() + IDLE_WITHIN;
    let open = loop {
        let (received, statuses, network) =
            (received(http).await, statuses(http).await, traffic.network().await);
        let missing: Vec<_> = traffic.written.iter().filter(|text| !received.contains_key(*text)).collect();
        let arrived: BTreeMap<&str, u64> = network
            .iter()
            .map(|message| (message["body"].as_str().unwrap(), message["arrivals"].as_u64().unwrap()))
            .collect();
        let far =
            |text: &String| statuses.get(text).and_then(|steps| steps.last()).cloned().unwrap_or_default();
        let unfinished: Vec<_> = traffic
            .sent
            .iter()
            .filter(|(_, answered)| **answered)
            .map(|(text, _)| text)
            .filter(|text| match arrived.get(text.as_str()) {
                Some(_) => !matches!(far(text).as_str(), "sent" | "delivered" | "read"),
                None => upstreams_deduplicate(traffic) || far(text) != "sending",
            })
            .collect();
        if missing.is_empty() && unfinished.is_empty() {
            assert!(received.values().all(|times| *times == 1), "emitted twice: {received:?}");
            let repeated: Vec<_> = network.iter().filter(|message| message["shown"] != 1).collect();
            assert!(repeated.is_empty(), "shown twice: {repeated:?}");
            break traffic.sent.keys().filter(|text| far(text) == "sending").count();
        }
        assert!(Instant::now() < until, "missing {missing:?}, without result {unfinished:?}");
        sleep(Duration::from_millis(100)).await;
    };
    let answered = traffic.sent.values().filter(|answered| **answered).count();
    eprintln!(
        "{} rounds: {answered} sent, {} written, {open} of unknown outcome",
        rounds(),
        traffic.written.len()
    );
}

fn upstreams_deduplicate(traffic: &Traffic) -> bool {
    traffic.upstream.capabilities().deduplicates
}
