//! The engine `waha` with a WAHA server of the tests.

mod backfill;
mod files;
mod inbound;
mod linking;
mod send_without_id;
mod sending;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use crate::support::TestApp;
use crate::upstream::waha::{Fault, Server};

/// A server, and a daemon with devices that are its sessions.
struct Waha {
    app: TestApp,
    server: Arc<Server>,
}

impl Waha {
    async fn start(inbound: &'static str) -> Self {
        Self::start_with(inbound, &[]).await
    }

    async fn start_with(inbound: &'static str, overrides: &[(&str, &str)]) -> Self {
        let server = Server::start(inbound).await;
        let app = TestApp::start_on(server.clone(), overrides).await;
        Self { app, server }
    }

    /// Makes the next matching requests fail with a status.
    fn fails(&self, part: &'static str, status: u16, after_ms: u64, times: usize) {
        let after = Duration::from_millis(after_ms);
        *self.server.faults.lock().unwrap() = vec![Fault { part, status, after, times }];
    }

    fn works(&self) {
        self.server.faults.lock().unwrap().clear();
    }

    /// How many requests of this kind the server got.
    fn asked(&self, what: &str) -> usize {
        self.server.asked.lock().unwrap().iter().filter(|asked| *asked == what).count()
    }

    /// Links a device, and waits until it has read the history and checked its session: then its position is stored.
    async fn device(&self) {
        self.app.device("shop").await;
        let is_read = || {
            let asked = self.server.asked.lock().unwrap();
            let overview = asked.iter().position(|asked| asked.ends_with("/chats/overview"));
            overview.is_some_and(|at| asked[at..].iter().any(|asked| asked == "GET /api/sessions/shop"))
        };
        self.app.wait_until("the history to be read", async || is_read().then_some(())).await;
    }

    async fn is_there(&self, body: &str) {
        let what = format!("the message {body:?}");
        let search = format!("/devices/shop/messages/search?query={body}");
        self.app
            .wait_until(&what, async || (self.app.get(&search).await.ok()["totalResults"] == 1).then_some(()))
            .await;
    }
}
