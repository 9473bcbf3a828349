//! Live events to many sockets of one device.

use serde_json::Value;

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, TestApp};

/// Sockets of each test.
const SOCKETS: usize = 12;

/// Joins the device's namespace with all events from the start of its log.
async fn join_from_start(app: &TestApp) -> Wire {
    let (mut wire, _) = Wire::open(app).await;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\",\"since\":0}}")).await;
    wire
}

/// The packets of logged events up to `newest`, as name and `seq`.
async fn read_until(wire: &mut Wire, newest: i64) -> Vec<(String, i64)> {
    let mut seen: Vec<(String, i64)> = Vec::new();
    while seen.last().is_none_or(|(_, seq)| *seq < newest) {
        let packet = wire.packet_with("42/device/shop,").await;
        let event: Value = serde_json::from_str(packet.trim_start_matches("42/device/shop,")).unwrap();
        let Some(seq) = event[1]["seq"].as_i64() else { continue };
        seen.push((event[0].as_str().unwrap().to_owned(), seq));
    }
    seen
}

async fn newest_seq(app: &TestApp) -> i64 {
    app.log("shop").await.last().unwrap()["seq"].as_i64().unwrap()
}

/// Sockets join while messages arrive; the last entry is no acknowledgement, which has two packets.
async fn traffic_reaches_all_joining_sockets(app: &TestApp) -> Vec<Vec<(String, i64)>> {
    app.device("shop").await;
    let sender = async {
        for n in 0..SOCKETS {
            app.send("shop", ANNA, &format!("answer {n}")).await;
            app.incoming("shop", ANNA, &format!("question {n}")).await;
        }
    };
    let joining = async {
        let mut wires = Vec::new();
        for _ in 0..SOCKETS {
            wires.push(join_from_start(app).await);
        }
        wires
    };
    let ((), mut wires) = tokio::join!(sender, joining);
    app.wait_until("all answers to be acknowledged", async || {
        (app.logged("shop", "message:ack").await.len() >= SOCKETS).then_some(())
    })
    .await;
    app.incoming("shop", ANNA, "the last").await;
    let newest = newest_seq(app).await;
    let mut seen = Vec::new();
    for wire in &mut wires {
        seen.push(read_until(wire, newest).await);
    }
    seen
}

/// Each entry once and in order, acknowledgements under both names.
async fn expected_packets(app: &TestApp) -> Vec<(String, i64)> {
    let mut expected = Vec::new();
    for entry in app.log("shop").await {
        let (name, seq) = (entry["type"].as_str().unwrap().to_owned(), entry["seq"].as_i64().unwrap());
        let is_ack = name == "message:ack";
        expected.push((name, seq));
        if is_ack {
            expected.push(("message-ack".to_owned(), seq));
        }
    }
    expected
}

#[tokio::test]
async fn sockets_that_join_during_traffic_get_every_entry_once() {
    let app = TestApp::start().await;
    let seen = traffic_reaches_all_joining_sockets(&app).await;
    let expected = expected_packets(&app).await;
    for packets in seen {
        assert_eq!(packets, expected[..packets.len()]);
    }
}

#[tokio::test]
async fn sockets_with_full_buffers_get_every_entry_once() {
    let app = TestApp::start_with(&[("socket.buffer_packets", "1")]).await;
    let seen = traffic_reaches_all_joining_sockets(&app).await;
    let expected = expected_packets(&app).await;
    for packets in seen {
        assert_eq!(packets, expected[..packets.len()]);
    }
}
