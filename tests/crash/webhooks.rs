//! The daemon is killed while receivers misbehave: every event reaches every receiver at least once, in order for
//! each device, and dead letters can be delivered again.

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
use crate::process::{Dice, Http, Place};

const DEVICES: [&str; 2] = ["shop", "home"];
const ROUNDS: usize = 8;

/// How receivers misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// 200, 500, 429 and silence by turns.
    Moody,
    /// Breaks connections off by turns.
    Rude,
    /// 200, after a while.
    Slow,
    /// Always 500, until it is told to behave.
    Dead,
    /// Always 410, until it is told to behave.
    Gone,
}

/// The device and position of what was taken, in the order of arrival.
type Taken = Arc<Mutex<Vec<(String, i64)>>>;

#[derive(Clone)]
struct Shared {
    manner: Arc<Mutex<Option<Manner>>>,
    dice: Arc<Mutex<Dice>>,
    taken: Taken,
}

struct Receiver {
    url: String,
    shared: Shared,
}

impl Receiver {
    async fn start(manner: Manner, dice: Dice) -> Self {
        let shared = Shared {
            manner: Arc::new(Mutex::new(Some(manner))),
            dice: Arc::new(Mutex::new(dice)),
            taken: Taken::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(shared.clone());
        #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    fn behave(&self) {
        *self.shared.manner.lock().unwrap() = None;
    }

    fn taken(&self, device: &str) -> Vec<i64> {
        let taken = self.shared.taken.lock().unwrap();
        taken.iter().filter(|(of, _)| of == device).map(|(_, seq)| *seq).collect()
    }
}

async fn take(State(shared): State<Shared>, body: Bytes) -> Response {
    let manner = *shared.manner.lock().unwrap();
    let roll = shared.dice.lock().unwrap().between(0, 9);
    match (manner, roll) {
        (Some(Manner::Moody), 0) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (Some(Manner::Moody), 1) => {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
        }
        (Some(Manner::Moody), 2) => return std::future::pending().await,
        // A panic breaks the connection off.
        (Some(Manner::Rude), 0..=3) => panic!("rude on purpose"),
        (Some(Manner::Slow), _) => sleep(Duration::from_millis(30 * roll)).await,
        (Some(Manner::Dead), _) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (Some(Manner::Gone), _) => return StatusCode::GONE.into_response(),
        _ => {}
    }
    let event: Value = serde_json::from_slice(&body).unwrap();
    let device = event["data"]["deviceId"].as_str().unwrap().to_owned();
    // Taken is what is answered 200: from here on nothing waits.
    shared.taken.lock().unwrap().push((device, event["data"]["seq"].as_i64().unwrap()));
    StatusCode::OK.into_response()
}

async fn place() -> Place {
    fleet::place().await.with("net.allow_private", "127.0.0.1").with("webhooks.timeout_ms", "400").with(
        "webhooks.retry_delays",
        "20ms,20ms,50ms,50ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms",
    )
}

async fn webhook(http: &Http, url: &str) -> String {
    let body = json!({ "url": url, "events": ["message"] });
    let made = http.post("webhooks", &body).await.unwrap().expect("make a webhook");
    made["webhook"]["id"].as_str().unwrap().to_owned()
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
    let mut dice = Dice::new(Dice::unseeded_seed());
    let manners = [Manner::Moody, Manner::Rude, Manner::Slow, Manner::Dead, Manner::Gone];
    let mut receivers = Vec::new();
    for manner in manners {
        receivers.push(Receiver::start(manner, dice.fork()).await);
    }
    let place = place().await;
    let daemon = place.start().await;
    for device in DEVICES {
        create(&daemon.http, device, &quick()).await;
    }
    let mut ids = Vec::new();
    for receiver in &receivers {
        ids.push(webhook(&daemon.http, &receiver.url).await);
    }
    daemon.kill();
    for _ in 0..ROUNDS {
        let daemon = place.start().await;
        for device in DEVICES {
            until_ready(&daemon.http, device).await;
        }
        for n in 0..dice.between(3, 10) {
            let device = DEVICES[usize::try_from(n).unwrap() % 2];
            let message = json!({ "from": "15550100001", "body": "quokka" });
            let told = daemon.http.post(&format!("simulator/{device}/incoming"), &message).await;
            told.unwrap().expect("incoming");
        }
        sleep(Duration::from_millis(dice.between(0, 400))).await;
        daemon.kill();
    }

    let daemon = place.start().await;
    let http = &daemon.http;
    for device in DEVICES {
        until_ready(http, device).await;
    }
    receivers.iter().for_each(Receiver::behave);
    // What was given up, or never put on the way because a receiver was gone, is delivered on request.
    until("nothing waits", Duration::from_secs(60), async || {
        let all = http.get("webhooks").await.unwrap();
        all.data().as_array().unwrap().iter().all(|webhook| webhook["waiting"] == 0)
    })
    .await;
    for (id, manner) in ids.iter().zip(manners) {
        http.patch(&format!("webhooks/{id}"), &json!({ "enabled": true })).await.unwrap().expect("enable");
        let replay = format!("webhooks/{id}/replay");
        http.post(&replay, &json!({ "dead": true })).await.unwrap().expect("replay the dead");
        if manner == Manner::Gone {
            for device in DEVICES {
                let range = json!({ "deviceId": device, "from": 1, "to": 10_000 });
                http.post(&replay, &range).await.unwrap().expect("replay a range");
            }
        }
    }
    for device in DEVICES {
        let expected: BTreeSet<i64> = messages_in(http, device).await.into_iter().collect();
        assert!(!expected.is_empty());
        for (receiver, manner) in receivers.iter().zip(manners) {
            until(&format!("all of {device} at the {manner:?} one"), Duration::from_secs(60), async || {
                let taken: BTreeSet<i64> = receiver.taken(device).into_iter().collect();
                taken == expected
            })
            .await;
            if !matches!(manner, Manner::Dead | Manner::Gone) {
                in_order(&receiver.taken(device), manner);
            }
        }
    }
    daemon.stop().await;
}

/// Second copies apart, which a kill between an answer and its being stored makes, each comes after the one before.
/// What ran out of tries and was delivered again stands behind the rest.
fn in_order(seqs: &[i64], manner: Manner) {
    let mut seen = BTreeSet::new();
    let first: Vec<i64> = seqs.iter().copied().filter(|seq| seen.insert(*seq)).collect();
    assert!(first.is_sorted(), "{manner:?}: {seqs:?}");
}
