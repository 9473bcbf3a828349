//! Kills the daemon while receivers fail: every event reaches every receiver at least once, in order per
//! device, and dead letters can be replayed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::fleet::{self, create, quick, until, until_ready};
use crate::process::{DaemonHome, Http, SeededRng};

const DEVICES: [&str; 2] = ["shop", "home"];
const ROUNDS: usize = 8;

/// How a receiver fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailureMode {
    /// Alternates 200, 500, 429 and silence.
    Alternating,
    /// Alternates answers and aborted connections.
    Aborting,
    /// 200 after a delay.
    Slow,
    /// Always 500, until it recovers.
    Erroring,
    /// Always 410, until it recovers.
    Gone,
}

/// Device and `seq` of accepted deliveries, in order of arrival.
type Accepted = Arc<Mutex<Vec<(String, i64)>>>;

#[derive(Clone)]
struct Shared {
    mode: Arc<Mutex<Option<FailureMode>>>,
    rng: Arc<Mutex<SeededRng>>,
    accepted: Accepted,
}

struct Receiver {
    url: String,
    shared: Shared,
}

impl Receiver {
    async fn start(mode: FailureMode, rng: SeededRng) -> Self {
        let shared = Shared {
            mode: Arc::new(Mutex::new(Some(mode))),
            rng: Arc::new(Mutex::new(rng)),
            accepted: Accepted::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let router = Router::new().fallback(receive).with_state(shared.clone());
        #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    fn recover(&self) {
        *self.shared.mode.lock().unwrap() = None;
    }

    fn accepted(&self, device: &str) -> Vec<i64> {
        let accepted = self.shared.accepted.lock().unwrap();
        accepted.iter().filter(|(of, _)| of == device).map(|(_, seq)| *seq).collect()
    }
}

async fn receive(State(shared): State<Shared>, body: Bytes) -> Response {
    let mode = *shared.mode.lock().unwrap();
    let roll = shared.rng.lock().unwrap().between(0, 9);
    match (mode, roll) {
        (Some(FailureMode::Alternating), 0) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (Some(FailureMode::Alternating), 1) => {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
        }
        (Some(FailureMode::Alternating), 2) => return std::future::pending().await,
        // A panic aborts the connection.
        (Some(FailureMode::Aborting), 0..=3) => panic!("aborted on purpose"),
        (Some(FailureMode::Slow), _) => sleep(Duration::from_millis(30 * roll)).await,
        (Some(FailureMode::Erroring), _) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (Some(FailureMode::Gone), _) => return StatusCode::GONE.into_response(),
        _ => {}
    }
    let event: Value = serde_json::from_slice(&body).unwrap();
    let device = event["data"]["deviceId"].as_str().unwrap().to_owned();
    // Deliveries answered with 200 are final: nothing follows for them.
    shared.accepted.lock().unwrap().push((device, event["data"]["seq"].as_i64().unwrap()));
    StatusCode::OK.into_response()
}

async fn home() -> DaemonHome {
    fleet::home().await.with("net.allow_private", "127.0.0.1").with("webhooks.timeout_ms", "400").with(
        "webhooks.retry_delays",
        "20ms,20ms,50ms,50ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms",
    )
}

async fn webhook(http: &Http, url: &str) -> String {
    let body = json!({ "url": url, "events": ["message"] });
    let created = http.post("webhooks", &body).await.unwrap().expect("make a webhook");
    created["webhook"]["id"].as_str().unwrap().to_owned()
}

async fn messages_in(http: &Http, device: &str) -> Vec<i64> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let page = http.get(&format!("devices/{device}/events?limit=100&after={after}")).await.unwrap();
        let entries = page.data().as_array().unwrap().clone();
        let Some(last) = entries.last() else { return all };
        after = last["seq"].as_i64().unwrap();
        all.extend(entries.iter().filter(|e| e["type"] == "message").map(|e| e["seq"].as_i64().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_events_reach_every_receiver_despite_kills() {
    skip_unless!(!fleet::native(), "a simulated network");
    let mut rng = SeededRng::new(SeededRng::random_seed());
    let modes = [
        FailureMode::Alternating,
        FailureMode::Aborting,
        FailureMode::Slow,
        FailureMode::Erroring,
        FailureMode::Gone,
    ];
    let mut receivers = Vec::new();
    for mode in modes {
        receivers.push(Receiver::start(mode, rng.fork()).await);
    }
    let home = home().await;
    let daemon = home.start().await;
    for device in DEVICES {
        create(&daemon.http, device, &quick()).await;
    }
    let mut ids = Vec::new();
    for receiver in &receivers {
        ids.push(webhook(&daemon.http, &receiver.url).await);
    }
    daemon.kill();
    for _ in 0..ROUNDS {
        let daemon = home.start().await;
        for device in DEVICES {
            until_ready(&daemon.http, device).await;
        }
        for n in 0..rng.between(3, 10) {
            let device = DEVICES[usize::try_from(n).unwrap() % 2];
            let message = json!({ "from": "15550100001", "body": "quokka" });
            let answer = daemon.http.post(&format!("simulator/{device}/incoming"), &message).await;
            answer.unwrap().expect("incoming");
        }
        sleep(Duration::from_millis(rng.between(0, 400))).await;
        daemon.kill();
    }

    let daemon = home.start().await;
    let http = &daemon.http;
    for device in DEVICES {
        until_ready(http, device).await;
    }
    receivers.iter().for_each(Receiver::recover);
    // Dead letters, and events that were never queued while a receiver was gone, are delivered on request.
    until("nothing waits", Duration::from_secs(60), async || {
        let all = http.get("webhooks").await.unwrap();
        all.data().as_array().unwrap().iter().all(|webhook| webhook["waiting"] == 0)
    })
    .await;
    for (id, mode) in ids.iter().zip(modes) {
        http.patch(&format!("webhooks/{id}"), &json!({ "enabled": true })).await.unwrap().expect("enable");
        let replay = format!("webhooks/{id}/replay");
        http.post(&replay, &json!({ "dead": true })).await.unwrap().expect("replay the dead");
        if mode == FailureMode::Gone {
            for device in DEVICES {
                let range = json!({ "deviceId": device, "from": 1, "to": 10_000 });
                http.post(&replay, &range).await.unwrap().expect("replay a range");
            }
        }
    }
    for device in DEVICES {
        let expected: BTreeSet<i64> = messages_in(http, device).await.into_iter().collect();
        assert!(!expected.is_empty());
        for (receiver, mode) in receivers.iter().zip(modes) {
            until(&format!("all of {device} at the {mode:?} one"), Duration::from_secs(60), async || {
                let accepted: BTreeSet<i64> = receiver.accepted(device).into_iter().collect();
                accepted == expected
            })
            .await;
            if !matches!(mode, FailureMode::Erroring | FailureMode::Gone) {
                in_order(&receiver.accepted(device), mode);
            }
        }
    }
    daemon.stop().await;
}

/// Checks order, apart from repeated deliveries, which a kill between an answer and its record causes.
/// Replayed dead letters follow the rest.
fn in_order(seqs: &[i64], mode: FailureMode) {
    let mut seen = BTreeSet::new();
    let first: Vec<i64> = seqs.iter().copied().filter(|seq| seen.insert(*seq)).collect();
    assert!(first.is_sorted(), "{mode:?}: {seqs:?}");
}
