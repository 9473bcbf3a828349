//! How a daemon ends when it is asked to, and how a second one is kept away.

use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::checks;
use crate::database::Database;
use crate::fleet::{self, create, quick, simulated, until_sent};
use crate::process::{Dice, tail};
use crate::traffic::{Halt, Listener, Sender, Worker, Writer};

const DEVICE: &str = "shop";
const WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_sigterm_under_load_ends_well_and_loses_nothing() {
    let place = fleet::place();
    let mut dice = Dice::new(7);
    let chats = ["15550100001", "15550100002", "15550100003"];
    let mut sender = Sender::new(DEVICE, &chats, Duration::from_millis(1), dice.fork());
    let mut writer = Writer::new(DEVICE, None, Duration::from_millis(1), dice.fork());
    let mut listener = Listener::new(DEVICE);
    let daemon = place.start().await;
    create(
        &daemon.http,
        DEVICE,
        &simulated(json!({ "ackServerMs": 20, "ackDeviceMs": 30, "ackReadMs": 40 })),
    )
    .await;
    daemon.stop().await;

    for _ in 0..5 {
        let mut daemon = place.start().await;
        let http = daemon.http.clone();
        let asked = async {
            sleep(Duration::from_millis(400)).await;
            daemon.signal(Signal::TERM);
            let since = Instant::now();
            let status = daemon.ended(WITHIN).await;
            assert_eq!(status.and_then(|status| status.code()), Some(0), "\n{}", tail(&place.log()));
            since.elapsed()
        };
        let workers: [&mut dyn Worker; 3] = [&mut sender, &mut writer, &mut listener];
        let work = join_all(workers.map(|worker| worker.run(&http)));
        let (halts, took) = tokio::join!(work, asked);
        eprintln!("SIGTERM under load: ended after {took:.1?}");
        for halt in halts {
            if let Halt::Wrong(what) = halt {
                panic!("{what}");
            }
        }
    }

    let daemon = place.start().await;
    assert!(sender.finish(&daemon.http).await.is_ok());
    assert!(writer.finish(&daemon.http).await.is_ok());
    until_sent(&daemon.http, DEVICE, Duration::from_secs(20)).await;
    let log = checks::sound_log(&daemon.http, DEVICE).await;
    checks::sent_once(&daemon.http, &sender, &log).await;
    checks::received_once(&daemon.http, &writer, &log).await;
    daemon.stop().await;
    Database::open(&place).check();
}

/// A request that hangs, because its device is silent, must not keep the daemon longer than it may take.
#[tokio::test]
async fn slow_sigterm_does_not_wait_for_a_request_that_hangs() {
    let place = fleet::place();
    let mut daemon = place.start().await;
    let http = daemon.http.clone();
    create(&http, DEVICE, &quick()).await;
    let hanging = hang(&http);
    let asked = async {
        sleep(Duration::from_millis(300)).await;
        daemon.signal(Signal::TERM);
        let since = Instant::now();
        let status = daemon.ended(WITHIN).await;
        (status, since.elapsed())
    };
    let (_, (status, took)) = tokio::join!(hanging, asked);
    eprintln!("SIGTERM with a hanging request: ended after {took:.1?}");
    assert_eq!(status.and_then(|status| status.code()), Some(0), "\n{}", tail(&place.log()));
}

#[tokio::test]
async fn slow_a_second_sigterm_ends_the_daemon_at_once() {
    let place = fleet::place();
    let mut daemon = place.start().await;
    let http = daemon.http.clone();
    create(&http, DEVICE, &quick()).await;
    let hanging = hang(&http);
    let asked = async {
        sleep(Duration::from_millis(300)).await;
        daemon.signal(Signal::TERM);
        let early = daemon.ended(Duration::from_millis(300)).await;
        assert!(early.is_none(), "the request was to keep it: {early:?}");
        daemon.signal(Signal::TERM);
        let since = Instant::now();
        let status = daemon.ended(WITHIN).await;
        (status, since.elapsed())
    };
    let (_, (status, took)) = tokio::join!(hanging, asked);
    eprintln!("second SIGTERM: ended after {took:.1?}");
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    assert!(took < Duration::from_millis(500), "it took {took:?}");
    place.start().await.stop().await;
    Database::open(&place).check();
}

/// A request that the daemon cannot answer for a long time.
async fn hang(http: &crate::process::Http) {
    let silent = json!({ "kind": "stall", "durationMs": 60_000 });
    http.post(&format!("simulator/{DEVICE}/fault"), &silent).await.unwrap().expect("stall");
    let message = json!({ "from": "15550100001", "body": "quokka" });
    // How it ends is not the question here.
    let _ = http.post(&format!("simulator/{DEVICE}/incoming"), &message).await;
}

#[tokio::test]
async fn slow_a_second_daemon_on_the_same_data_is_refused() {
    let place = fleet::place();
    let first = place.start().await;
    let before = place.log().len();
    let mut second = place.spawn();
    let status = second.ended(WITHIN).await.expect("the second daemon ends by itself");
    let said = place.log()[before..].to_owned();
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}: {said}");
    assert!(said.contains("is in use by another wharf daemon"), "{said}");
    assert!(said.trim().lines().count() <= 2, "one clear line, not: {said}");
    assert!(first.http.is_healthy().await);
    first.stop().await;
}
