//! Shutdown by SIGTERM, and refusal of a second daemon.

use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::checks;
use crate::database::Database;
use crate::fleet::{self, create, quick, simulated, until, until_sent};
use crate::process::{Http, SeededRng, tail};
use crate::traffic::{Halt, Listener, Sender, Worker, Writer};

const DEVICE: &str = "shop";
const WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_sigterm_under_load_exits_cleanly_without_loss() {
    let home = fleet::home().await;
    let mut rng = SeededRng::new(7);
    let chats = ["15550100001", "15550100002", "15550100003"];
    let mut sender = Sender::new(DEVICE, &chats, Duration::from_millis(1), rng.fork());
    let mut writer = Writer::new(DEVICE, None, Duration::from_millis(1), rng.fork());
    let mut listener = Listener::new(DEVICE);
    let daemon = home.start().await;
    create(
        &daemon.http,
        DEVICE,
        &simulated(json!({ "ackServerMs": 20, "ackDeviceMs": 30, "ackReadMs": 40 })),
    )
    .await;
    daemon.stop().await;

    for _ in 0..5 {
        let mut daemon = home.start().await;
        let http = daemon.http.clone();
        let asked = async {
            sleep(Duration::from_millis(400)).await;
            daemon.signal(Signal::TERM);
            let since = Instant::now();
            let status = daemon.ended(WITHIN).await;
            assert_eq!(status.and_then(|status| status.code()), Some(0), "\n{}", tail(&home.log()));
            since.elapsed()
        };
        let workers: [&mut dyn Worker; 3] = [&mut sender, &mut writer, &mut listener];
        let work = join_all(workers.map(|worker| worker.run(&http)));
        let (halts, elapsed) = tokio::join!(work, asked);
        eprintln!("SIGTERM under load: ended after {elapsed:.1?}");
        for halt in halts {
            if let Halt::Wrong(what) = halt {
                panic!("{what}");
            }
        }
    }

    let daemon = home.start().await;
    assert!(sender.finish(&daemon.http).await.is_ok());
    assert!(writer.finish(&daemon.http).await.is_ok());
    until_sent(&daemon.http, DEVICE, Duration::from_secs(20)).await;
    let log = checks::checked_log(&daemon.http, DEVICE).await;
    checks::sent_once(&daemon.http, &sender, &log).await;
    checks::received_once(&daemon.http, &writer, &log).await;
    daemon.stop().await;
    Database::open(&home).check();
}

/// Without deduplication an unknown outcome is never resent, so a clean stop must leave none behind.
#[tokio::test]
async fn slow_sigterm_answers_requests_in_flight() {
    let home = fleet::home().await;
    let mut sender = Sender::new(DEVICE, &["15550100001"], Duration::ZERO, SeededRng::new(1));
    let daemon = home.start().await;
    let slow = simulated(json!({ "ackServerMs": 1_000, "ackDeviceMs": null, "ackReadMs": null }));
    create(&daemon.http, DEVICE, &slow).await;
    assert!(sender.step(&daemon.http).await.is_ok());
    until("a copy is in the network", WITHIN, async || {
        let network = daemon.http.get(&format!("simulator/{DEVICE}/network")).await.unwrap();
        network.data()["sent"].as_array().is_some_and(|sent| !sent.is_empty())
    })
    .await;
    daemon.stop().await;

    let daemon = home.start().await;
    until_sent(&daemon.http, DEVICE, WITHIN).await;
    let log = checks::checked_log(&daemon.http, DEVICE).await;
    let copied = checks::sent_once(&daemon.http, &sender, &log).await;
    assert_eq!(copied, 0, "the message was sent again after the stop");
    daemon.stop().await;
}

/// A client that never finishes its request must not delay the shutdown beyond its limit.
#[tokio::test]
async fn slow_sigterm_does_not_wait_for_stalled_request() {
    let home = fleet::home().await;
    let mut daemon = home.start().await;
    let _half = open_partial_request(&daemon.http).await;
    daemon.signal(Signal::TERM);
    let since = Instant::now();
    let status = daemon.ended(WITHIN).await;
    eprintln!("SIGTERM with a request that hangs: ended after {:.1?}", since.elapsed());
    assert_eq!(status.and_then(|status| status.code()), Some(0), "\n{}", tail(&home.log()));
}

#[tokio::test]
async fn slow_second_sigterm_ends_daemon_at_once() {
    let home = fleet::home().await;
    let mut daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    let _half = open_partial_request(&daemon.http).await;
    daemon.signal(Signal::TERM);
    let early = daemon.ended(Duration::from_millis(300)).await;
    assert!(early.is_none(), "the open request must delay the shutdown: {early:?}");
    daemon.signal(Signal::TERM);
    let since = Instant::now();
    let status = daemon.ended(WITHIN).await;
    let elapsed = since.elapsed();
    eprintln!("second SIGTERM: ended after {elapsed:.1?}");
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    assert!(elapsed < Duration::from_millis(500), "the second SIGTERM took {elapsed:?}");
    home.start().await.stop().await;
    Database::open(&home).check();
}

/// An incomplete request; the daemon works on it as long as the stream exists.
async fn open_partial_request(http: &Http) -> TcpStream {
    let address = http.base().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/devices HTTP/1.1\r\nHost: {address}\r\nX-API-KEY: {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        http.key()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Gives the daemon time to read it; nothing observable marks that point.
    sleep(Duration::from_millis(200)).await;
    stream
}

#[tokio::test]
async fn slow_second_daemon_on_same_data_is_refused() {
    let home = fleet::home().await;
    let first = home.start().await;
    let before = home.log().len();
    let mut second = home.spawn();
    let status = second.ended(WITHIN).await.expect("the second daemon ends by itself");
    let output = home.log()[before..].to_owned();
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}: {output}");
    assert!(output.contains("is in use by another wharf daemon"), "{output}");
    assert!(output.trim().lines().count() <= 2, "one clear line, not: {output}");
    assert!(first.http.is_healthy().await);
    first.stop().await;
}
