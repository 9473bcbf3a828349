//! A linked device: the library's client with its storage in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use testbed::Testbed;
use testbed::server::state::Account;
use tokio::sync::mpsc;
use wacore::store::InMemoryBackend;
use wacore::store::traits::Backend;
use wacore::types::events::Event;
use whatsapp_rust::Client;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::sync_task::MajorSyncTask;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;

use crate::http::Http;

/// The timeout of all waits.
pub const SOON: Duration = Duration::from_secs(20);
/// A fixed version, so that none is fetched.
const VERSION: (u32, u32, u32) = (2, 3000, 1_000_000_000);

/// A running client.
pub struct Device {
    bot: BotHandle,
    events: mpsc::UnboundedReceiver<Arc<Event>>,
    /// Events received before the device was connected.
    early: VecDeque<Arc<Event>>,
}

impl Device {
    /// Starts a client and links it to the account's phone.
    pub async fn linked(testbed: &Testbed, account: &Account) -> Self {
        let (sender, mut events) = mpsc::unbounded_channel();
        let backend: Arc<dyn Backend> = Arc::new(InMemoryBackend::new());
        let bot = Bot::builder()
            .with_backend_arc(backend)
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(testbed.websocket()))
            .with_http_client(Http)
            .with_version(VERSION)
            .with_push_name("Testbed")
            .on_event(move |event, client| {
                let _ = sender.send(Arc::clone(&event));
                async move { read_what_was_skipped(&client, &event).await }
            })
            .build()
            .await
            .unwrap()
            .spawn();
        let qr = next(&mut events, "QR code", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await;
        testbed.world().scan(&qr, &account.number).await.unwrap();
        let mut device = Self { bot, events, early: VecDeque::new() };
        let mut early = VecDeque::new();
        let connected = async {
            loop {
                let event = device.events.recv().await.expect("the client runs");
                if matches!(&*event, Event::Connected(_)) {
                    return;
                }
                early.push_back(event);
            }
        };
        tokio::time::timeout(SOON, connected).await.expect("the device connects in time");
        device.early = early;
        device
    }

    pub fn client(&self) -> Arc<Client> {
        self.bot.client()
    }

    /// The next event that matches; others are skipped.
    pub async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        while let Some(event) = self.early.pop_front() {
            if let Some(found) = pick(&event) {
                return found;
            }
        }
        next(&mut self.events, what, pick).await
    }
}

/// Reads collections again that the library skipped because it was reading them.
async fn read_what_was_skipped(client: &Arc<Client>, event: &Event) {
    let Event::AppStateSyncFailed(failure) = event else { return };
    for name in failure.skipped.iter().filter_map(|name| name.parse().ok()) {
        client.process_sync_task(MajorSyncTask::AppStateSync { name, full_sync: false }).await;
    }
}

async fn next<T>(
    events: &mut mpsc::UnboundedReceiver<Arc<Event>>,
    what: &str,
    mut pick: impl FnMut(&Event) -> Option<T>,
) -> T {
    let found = tokio::time::timeout(SOON, async {
        loop {
            let event = events.recv().await.expect("the client runs");
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("no {what} came in time"))
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}
