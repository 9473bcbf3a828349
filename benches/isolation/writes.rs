//! Messages accepted per second, against SQLite with a commit per row.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fleet::{self, name};
use crate::latency::Latencies;
use crate::process::{DaemonHome, Http};
use crate::report::Report;

const CLIENTS: u32 = 64;
const DEVICES: u32 = 64;

/// Measures the baseline, then the daemon with stopped devices, then with sending devices.
pub async fn measure(seconds: u64, report: &mut Report) {
    println!("\nwrite path, synchronous=FULL, {CLIENTS} clients");
    let length = Duration::from_secs(seconds);
    let baseline = plain(length);
    report.row("plain SQLite, a commit per row", format!("{baseline:.0}/s"));

    let home = DaemonHome::new().with("log.level", "warn").with("outbox.max_queued", "100000000");
    let daemon = home.start().await;
    let http = &daemon.http;
    fleet::create(http, DEVICES, &fleet::settings(0)).await;
    for n in 0..DEVICES {
        http.post(&format!("devices/{}/stop", name(n)), &json!({})).await.unwrap().expect("stop");
    }
    let (accepted, latencies) = accept(http, length).await;
    report.row("accepted over REST, devices stopped", rate(accepted, baseline));
    report.row("the same, send → 201", latencies.to_string());
    daemon.kill();

    let home = DaemonHome::new().with("log.level", "warn").with("outbox.max_queued", "100000000");
    let daemon = home.start().await;
    fleet::create(&daemon.http, DEVICES, &fleet::settings(0)).await;
    let (accepted, latencies) = accept(&daemon.http, length).await;
    report.row("accepted over REST while the devices send them", rate(accepted, baseline));
    report.row("the same, send → 201", latencies.to_string());
    daemon.kill();
}

fn rate(accepted: f64, baseline: f64) -> String {
    format!("{accepted:.0}/s, {:.2} × plain", accepted / baseline)
}

/// Rows per second with a commit each, as in a program without a writer thread.
fn plain(length: Duration) -> f64 {
    let home = DaemonHome::new();
    std::fs::create_dir(home.data()).unwrap();
    let connection = Connection::open(home.database()).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection
        .execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT) STRICT")
        .unwrap();
    let mut insert = connection.prepare("INSERT INTO rows (name, body) VALUES (?1, ?2)").unwrap();
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < length {
        insert.execute((format!("true_15550100001@c.us_{count}"), "Hello, how are you?")).unwrap();
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

async fn accept(http: &Http, length: Duration) -> (f64, Latencies) {
    let began = Instant::now();
    let until = began + length;
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        clients.spawn(send(http.clone(), name(n % DEVICES), until));
    }
    let mut all = Latencies::default();
    while let Some(latencies) = clients.join_next().await {
        all.extend(latencies.unwrap());
    }
    (all.len() as f64 / began.elapsed().as_secs_f64(), all)
}

async fn send(http: Http, device: String, until: Instant) -> Latencies {
    let mut latencies = Latencies::default();
    let path = format!("devices/{device}/messages/send");
    while Instant::now() < until {
        let body = json!({ "to": "15550100001", "text": "Hello, how are you?" });
        let began = Instant::now();
        let answer = http.post(&path, &body).await.unwrap();
        match answer.status {
            201 => latencies.add(began.elapsed()),
            503 => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => panic!("{} {}", answer.status, answer.body),
        }
    }
    latencies
}
