//! Accepts connections: the WebSocket, the handshake, then registration or login, depending on the
//! client's payload.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;

use super::{World, login, pairing};
use crate::wire::connection;

/// The largest message of a client, in bytes.
const LARGEST: usize = 1 << 24;

/// A connection's buffer in each direction; small, because there are thousands of connections.
const BUFFER: usize = 8 * 1024;

/// Accepts a WebSocket.
pub async fn enter(State(world): State<Arc<World>>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.max_message_size(LARGEST).max_frame_size(LARGEST);
    upgrade.read_buffer_size(BUFFER).write_buffer_size(BUFFER).on_upgrade(move |socket| {
        let task = Box::pin(serve(Arc::clone(&world), socket));
        // Tracked, so that stopping the testbed waits for it.
        let tracked = world.tasks.track_future(task);
        let stop = world.stop.clone();
        async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tracked => {}
            }
        }
    })
}

async fn serve(world: Arc<World>, socket: WebSocket) {
    let arrival = match connection::accept(socket, &world.keys, &world.tasks).await {
        Ok(arrival) => arrival,
        Err(error) => {
            tracing::debug!(%error, "a handshake failed");
            return;
        }
    };
    // The writer ends with this task, also when the world stops.
    let _closing = Closing(arrival.link.clone());
    if arrival.payload.username.is_some() {
        login::log_in(&world, arrival).await;
    } else {
        pairing::register(&world, arrival).await;
    }
}

/// Closes a link that is still open when its reader ends.
struct Closing(connection::Link);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.reader_gone();
    }
}
