//! SIGKILL at the most critical points, one test each.

use std::time::Duration;

use serde_json::json;

use crate::checks::{self, Seen};
use crate::database::Database;
use crate::fleet::{self, create, quick, simulated, until, until_ready, until_sent};
use crate::process::SeededRng;
use crate::traffic::{Sender, Writer};

const DEVICE: &str = "shop";
const TIMES: usize = 15;

#[tokio::test]
async fn slow_kill_after_201_loses_nothing() {
    let home = fleet::home().await;
    let mut sender = Sender::new(DEVICE, &["15550100001", "15550100002"], Duration::ZERO, SeededRng::new(1));
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    daemon.kill();
    for _ in 0..TIMES {
        let daemon = home.start().await;
        assert!(sender.step(&daemon.http).await.is_ok());
        daemon.kill();
    }
    let daemon = home.start().await;
    assert!(sender.finish(&daemon.http).await.is_ok());
    until_sent(&daemon.http, DEVICE, Duration::from_secs(10)).await;
    let log = checks::checked_log(&daemon.http, DEVICE).await;
    checks::sent_once(&daemon.http, &sender, &log).await;
    daemon.stop().await;
    Database::open(&home).check();
}

#[tokio::test]
async fn slow_kill_after_inbound_acknowledgement_loses_nothing() {
    let home = fleet::home().await;
    let mut writer = Writer::new(DEVICE, None, Duration::ZERO, SeededRng::new(1));
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    daemon.kill();
    for _ in 0..TIMES {
        let daemon = home.start().await;
        until_ready(&daemon.http, DEVICE).await;
        assert!(writer.step(&daemon.http).await.is_ok());
        daemon.kill();
    }
    let daemon = home.start().await;
    assert!(writer.finish(&daemon.http).await.is_ok());
    let log = checks::checked_log(&daemon.http, DEVICE).await;
    checks::received_once(&daemon.http, &writer, &log).await;
    checks::chats_hold_the_log(&daemon.http, &log).await;
    daemon.stop().await;
    Database::open(&home).check();
}

/// The bytes reached the network, and the daemon dies before the answer.
#[tokio::test]
async fn slow_kill_before_network_answer_duplicates_nothing() {
    let home = fleet::home().await;
    let mut sender = Sender::new(DEVICE, &["15550100001"], Duration::ZERO, SeededRng::new(1));
    let daemon = home.start().await;
    create(
        &daemon.http,
        DEVICE,
        &simulated(json!({ "ackServerMs": 3_000, "ackDeviceMs": null, "ackReadMs": null })),
    )
    .await;
    for _ in 0..3 {
        assert!(sender.step(&daemon.http).await.is_ok());
    }
    let http = daemon.http.clone();
    until("a copy is in the network", Duration::from_secs(10), async || {
        let network = http.get(&format!("simulator/{DEVICE}/network")).await.unwrap();
        network.data()["sent"].as_array().is_some_and(|sent| !sent.is_empty())
    })
    .await;
    daemon.kill();
    let daemon = home.start().await;
    let patch = simulated(json!({ "ackServerMs": 0 }));
    assert!(
        daemon
            .http
            .patch(&format!("devices/{DEVICE}"), &json!({ "settings": patch }))
            .await
            .unwrap()
            .is_success()
    );
    daemon.http.post(&format!("devices/{DEVICE}/restart"), &json!({})).await.unwrap().expect("restart");
    until_sent(&daemon.http, DEVICE, Duration::from_secs(20)).await;
    let network = daemon.http.get(&format!("simulator/{DEVICE}/network")).await.unwrap();
    let first = &network.data()["sent"][0];
    assert!(first["arrivals"].as_i64().unwrap() >= 2, "the message was sent again: {first}");
    let log = checks::checked_log(&daemon.http, DEVICE).await;
    checks::sent_once(&daemon.http, &sender, &log).await;
    daemon.stop().await;
}

/// The next daemon delivers a message that the network holds unacknowledged.
#[tokio::test]
async fn slow_undelivered_message_arrives_after_restart() {
    let home = fleet::home().await;
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    let silent = json!({ "kind": "stall", "durationMs": 60_000 });
    daemon.http.post(&format!("simulator/{DEVICE}/fault"), &silent).await.unwrap().expect("stall");
    let message = json!({ "from": "15550100001", "body": "quokka", "networkId": "WAITING" });
    let http = daemon.http.clone();
    let path = format!("simulator/{DEVICE}/incoming");
    let waiting = http.post(&path, &message);
    assert!(
        tokio::time::timeout(Duration::from_millis(500), waiting).await.is_err(),
        "the message was acknowledged"
    );
    assert!(!Seen::read(&http, DEVICE).await.acknowledged("WAITING"));
    daemon.kill();

    let daemon = home.start().await;
    until("the network has the acknowledgement", Duration::from_secs(10), async || {
        Seen::read(&daemon.http, DEVICE).await.acknowledged("WAITING")
    })
    .await;
    let log = checks::checked_log(&daemon.http, DEVICE).await;
    assert_eq!(log.messages("message").len(), 1);
    daemon.stop().await;
}
