//! Devices of the measured servers, and requests that many connections repeat.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use bench_load::statistics::Latencies;
use serde_json::{Value, json};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{Instant, sleep};

use crate::client::{HttpClient, Response};
use crate::server::Server;

const AT_ONCE: u32 = 16;
const READY_WITHIN: Duration = Duration::from_secs(300);

/// The device of this number.
pub fn name(number: u32) -> String {
    format!("d{number:04}")
}

/// The contact of this number, as a chat of its own.
pub fn contact(number: u64) -> String {
    format!("15550100{:03}", number % 1_000)
}

/// The text of each message.
pub const BODY: &str = "Hello, how are you? This is an ordinary message of a customer.";

/// Creates the devices of these numbers, and waits until all are ready. Their recipients acknowledge soon.
pub async fn create(server: &Server, numbers: Range<u32>) {
    let Range { start, end } = numbers;
    let next = Rc::new(Cell::new(start));
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE.min(end - start) {
        let (mut client, next) = (server.client().await, next.clone());
        clients.spawn_local(async move {
            while next.get() < end {
                let number = next.replace(next.get() + 1);
                let settings = json!({ "simulator": {
                    "autoScanMs": 1, "ackServerMs": 0, "ackDeviceMs": 5, "ackReadMs": 10,
                } });
                let body = json!({ "id": name(number), "engine": "simulator", "settings": settings });
                client.post("/api/v1/devices", &body).await.unwrap().expect_success("create a device");
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    all_ready(server, end).await;
}

/// Waits until this many devices are ready.
pub async fn all_ready(server: &Server, count: u32) {
    let (mut client, deadline) = (server.client().await, Instant::now() + READY_WITHIN);
    loop {
        let stats = client.get("/api/v1/stats").await.unwrap().json();
        let ready = stats.pointer("/data/devicesByState/ready").and_then(Value::as_u64).unwrap_or(0);
        if ready >= u64::from(count) {
            return;
        }
        assert!(Instant::now() < deadline, "the devices did not become ready");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A message that comes in at a device.
pub async fn receive(client: &mut HttpClient, device: &str, number: u64, chats: u64) {
    let body =
        json!({ "from": contact(number % chats), "body": BODY, "networkId": format!("BENCH{number:015}") });
    let response = client.post(&format!("/api/v1/simulator/{device}/incoming"), &body).await.unwrap();
    response.expect_success("an incoming message");
}

/// A message that a device sends. `false` when it has to be tried again later.
pub async fn send(client: &mut HttpClient, device: &str, number: u64, chats: u64) -> bool {
    let body = json!({ "to": contact(number % chats), "text": BODY });
    let response: Response =
        client.post(&format!("/api/v1/devices/{device}/messages/send"), &body).await.unwrap();
    if response.status == 503 {
        return false;
    }
    response.expect_success("a message to be sent");
    true
}

/// What repeated requests took.
#[derive(Debug, Default)]
pub struct Repeated {
    pub count: u64,
    pub latencies: Latencies,
}

/// Repeats a request on this many connections until the time is over.
pub async fn repeat<F>(server: &Server, connections: u32, seconds: f64, request: F) -> Repeated
where
    F: AsyncFn(&mut HttpClient, u32, u64) + 'static,
{
    let request = Rc::new(request);
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(server.client().await);
    }
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let (next, mut tasks) = (Rc::new(Cell::new(0_u64)), Vec::new());
    for (connection, mut client) in (0..connections).zip(clients) {
        let (request, next) = (request.clone(), next.clone());
        tasks.push(spawn_local(async move {
            let mut repeated = Repeated::default();
            while Instant::now() < until {
                let (number, began) = (next.replace(next.get() + 1), Instant::now());
                request(&mut client, connection, number).await;
                repeated.latencies.add(began.elapsed());
                repeated.count += 1;
            }
            repeated
        }));
    }
    let mut all = Repeated::default();
    for task in tasks {
        let one = task.await.unwrap();
        all.count += one.count;
        all.latencies.extend(one.latencies);
    }
    all
}
