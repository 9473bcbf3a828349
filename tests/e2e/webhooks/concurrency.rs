//! A thousand receivers with a hundred dead ones: the others are not delayed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use wharf::app::SystemClock;
use wharf::domain::clock::Clock as _;

use super::{app_with, create_webhook};
use crate::support::{ANNA, TestApp};

const ALL: usize = 1_000;
const DEAD: usize = 100;
const EVENTS: usize = 8;

#[derive(Clone, Default)]
struct ReceiverPool {
    /// Receivers below this number never answer.
    silent: Arc<Mutex<usize>>,
    /// For each event, the delay in milliseconds until each living receiver got it.
    delays: Arc<Mutex<HashMap<i64, Vec<i64>>>>,
}

impl ReceiverPool {
    fn delivery_count(&self) -> usize {
        self.delays.lock().unwrap().values().map(Vec::len).sum()
    }
}

async fn record_delivery(
    State(pool): State<ReceiverPool>,
    Path(number): Path<usize>,
    body: Bytes,
) -> StatusCode {
    let silent = *pool.silent.lock().unwrap();
    if number < silent {
        return std::future::pending().await;
    }
    let event: Value = serde_json::from_slice(&body).unwrap();
    let (seq, at) = (event["data"]["seq"].as_i64().unwrap(), event["timestamp"].as_i64().unwrap());
    if number >= DEAD {
        pool.delays.lock().unwrap().entry(seq).or_default().push(SystemClock.now().0 - at);
    }
    StatusCode::NO_CONTENT
}

/// Median delay of the living receivers over several events.
async fn median(app: &TestApp, pool: &ReceiverPool) -> i64 {
    pool.delays.lock().unwrap().clear();
    for event in 1..=EVENTS {
        app.incoming("shop", ANNA, "hello").await;
        let until = Instant::now() + Duration::from_secs(120);
        while pool.delivery_count() < event * (ALL - DEAD) {
            assert!(Instant::now() < until, "a living receiver got no delivery in time");
            sleep(Duration::from_millis(20)).await;
        }
    }
    let mut all: Vec<i64> = pool.delays.lock().unwrap().values().flatten().copied().collect();
    all.sort_unstable();
    all[all.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_dead_receivers_delay_no_other() {
    let app = app_with(&[
        ("WHARF__WEBHOOKS__TIMEOUT_MS", "3000"),
        ("WHARF__WEBHOOKS__RETRY_DELAYS", "500ms,500ms,500ms,500ms,500ms,500ms,500ms,500ms,500ms"),
    ])
    .await;
    app.device("shop").await;
    let pool = ReceiverPool::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/{number}", post(record_delivery)).with_state(pool.clone());
    #[expect(clippy::disallowed_methods, reason = "the server ends with its test")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    for number in 0..ALL {
        create_webhook(
            &app,
            "/webhooks",
            json!({ "url": format!("{base}/{number}"), "events": ["message"] }),
        )
        .await;
    }
    median(&app, &pool).await;
    let healthy = median(&app, &pool).await;
    *pool.silent.lock().unwrap() = DEAD;
    let beside_dead = median(&app, &pool).await;
    println!("median delay: {healthy} ms with all alive, {beside_dead} ms beside {DEAD} dead of {ALL}");
    assert!(beside_dead <= healthy * 2, "{beside_dead} ms, and {healthy} ms with all alive");
}
