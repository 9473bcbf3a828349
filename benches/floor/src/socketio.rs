//! Bare socketioxide: any POST broadcasts the two events to the namespace; `subscribe` is acknowledged.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::{get, post};
use serde_json::value::RawValue;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, SocketRef};
use tokio::net::TcpListener;

use crate::payload::{ACCEPTED, CHAT, MESSAGE, NAMESPACE, SUBSCRIBED};

/// As the daemon sets it: a larger one costs memory for each socket.
const READ_BUFFER_BYTES: usize = 1_024;
/// More than the load leaves unread, so that no packet is dropped.
const BUFFER_PACKETS: usize = 4_096;

/// Serves until the process is killed.
pub async fn serve(listen: SocketAddr) {
    let (layer, io) = SocketIo::builder()
        .req_path("/ws")
        .max_buffer_size(BUFFER_PACKETS)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .build_layer();
    io.ns(NAMESPACE, async |socket: SocketRef| {
        let answer = raw(SUBSCRIBED);
        socket.on("subscribe", async move |ack: AckSender| {
            ack.send(&answer).ok();
        });
    });
    let (message, chat) = (raw(MESSAGE), raw(CHAT));
    let emit = async move || {
        let namespace = || io.of(NAMESPACE).unwrap();
        namespace().emit("message", &message).await.unwrap();
        namespace().emit("chat:update", &chat).await.unwrap();
        ACCEPTED
    };
    let app = Router::new().route("/healthz", get(async || "ok")).route("/{*any}", post(emit)).layer(layer);
    let listener = TcpListener::bind(listen).await.unwrap();
    axum::serve(listener, app).await.unwrap();
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}
