//! A large file passes through the daemon without growing its memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::fleet::{self, quick};
use crate::process::{Answer, Daemon, Http};

const MIB: usize = 1024 * 1024;
const VIDEO: usize = 60 * MIB;
const RANGE: usize = 4 * MIB;
const PIECE: usize = 64 * 1024;
/// One megabyte warms up costs that are independent of the file's size.
const WARM_UP: usize = MIB;
const MAY_GROW_KIB: u64 = 16 * 1024;

/// A piece of a video: a header, then unique noise.
fn piece(at: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (at..at + PIECE).map(|n| ((n / 7) ^ (n / PIECE)).to_le_bytes()[0]).collect();
    if at == 0 {
        bytes[..16].copy_from_slice(b"\0\0\0\x10ftypisom\0\0\0\0");
    }
    bytes
}

fn pieces(size: usize) -> impl Iterator<Item = Vec<u8>> + Send {
    (0..size).step_by(PIECE).map(piece)
}

fn sha256_of(size: usize) -> Vec<u8> {
    let mut hash = Sha256::new();
    pieces(size).for_each(|piece| hash.update(piece));
    hash.finalize().to_vec()
}

/// Uploads a video, sends it, and downloads it in ranges; the bytes must be equal.
async fn there_and_back(http: &Http, size: usize) {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let film = stream::iter(pieces(size)).map(Ok::<_, std::io::Error>);
    let url = format!("{}/api/v1/devices/shop/media", http.base());
    let upload = client.post(url).header("X-API-KEY", http.key()).body(reqwest::Body::wrap_stream(film));
    let reply = upload.send().await.unwrap();
    let uploaded =
        Answer { status: reply.status().as_u16(), body: reply.json().await.unwrap() }.expect("upload");
    assert_eq!((&uploaded["mimetype"], &uploaded["filesize"]), (&json!("video/mp4"), &json!(size)));

    let body = json!({ "to": "15550100001", "media": { "mediaId": uploaded["mediaId"] } });
    let sent = http.post("devices/shop/messages/send", &body).await.unwrap().expect("send");
    fleet::until_sent(http, "shop", Duration::from_secs(60)).await;
    let id = sent["id"].as_str().unwrap();
    let message = http.get(&format!("devices/shop/messages/{id}")).await.unwrap().expect("message");
    let url = format!("{}{}", http.base(), message["mediaUrl"].as_str().unwrap());

    let mut hash = Sha256::new();
    for from in (0..size).step_by(RANGE) {
        let to = (from + RANGE).min(size);
        let request = client.get(&url).header("Range", format!("bytes={from}-{}", to - 1));
        let part = request.send().await.unwrap();
        assert_eq!(part.status(), 206);
        let part = part.bytes().await.unwrap();
        assert_eq!(part.len(), to - from);
        hash.update(&part);
    }
    assert_eq!(hash.finalize().to_vec(), sha256_of(size));
}

/// Runs the work and returns the daemon's peak memory meanwhile, in KiB.
async fn most_memory_during(daemon: &Daemon, work: impl Future<Output = ()>) -> u64 {
    let most = AtomicU64::new(0);
    let watch = async {
        loop {
            most.fetch_max(daemon.resident_kib(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = watch => {}
    }
    most.into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_large_video_does_not_grow_daemon_memory() {
    let home = fleet::home().await;
    let daemon = home.start().await;
    fleet::create(&daemon.http, "shop", &quick()).await;
    there_and_back(&daemon.http, WARM_UP).await;
    let before = daemon.resident_kib();
    let most = most_memory_during(&daemon, there_and_back(&daemon.http, VIDEO)).await;
    let grown = most.saturating_sub(before);
    eprintln!(
        "a video of {} MiB: the daemon's memory went from {before} to {most} KiB: {grown} more",
        VIDEO / MIB
    );
    assert!(grown < MAY_GROW_KIB, "memory grew by {grown} KiB");
    daemon.stop().await;
}
