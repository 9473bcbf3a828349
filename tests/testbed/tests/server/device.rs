//! A device to link: the library's client with its storage in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use testbed::Testbed;
use testbed::server::pairing::Linked;
use tokio::sync::mpsc;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};
use wacore::store::InMemoryBackend;
use wacore::store::traits::Backend;
use wacore::types::events::Event;
use whatsapp_rust::Client;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::transport::TokioWebSocketTransportFactory;

/// The timeout of all waits.
pub const SOON: Duration = Duration::from_secs(15);
/// A fixed version, so that none is fetched.
const VERSION: (u32, u32, u32) = (2, 3000, 1_000_000_000);

/// The state of a device while it is off.
pub type Storage = Arc<dyn Backend>;

/// A running client.
pub struct Device {
    bot: BotHandle,
    events: mpsc::UnboundedReceiver<Arc<Event>>,
}

/// Rejects all HTTP requests.
struct NoHttp;

#[async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, _request: HttpRequest) -> anyhow::Result<HttpResponse> {
        anyhow::bail!("nothing here is fetched over HTTP")
    }
}

/// The storage of a device that was never linked.
pub fn storage() -> Storage {
    Arc::new(InMemoryBackend::new())
}

impl Device {
    /// Starts a client on its storage.
    pub async fn start(testbed: &Testbed, storage: &Storage) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let bot = Bot::builder()
            .with_backend_arc(Arc::clone(storage))
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(testbed.websocket()))
            .with_http_client(NoHttp)
            .with_version(VERSION)
            .with_push_name("Testbed")
            .on_event(move |event, _client| {
                let _ = sender.send(event);
                async {}
            })
            .build()
            .await
            .unwrap();
        Self { bot: bot.spawn(), events }
    }

    /// Starts a client and links it with its first QR code.
    pub async fn linked(testbed: &Testbed, storage: &Storage, number: &str) -> (Self, Linked) {
        let mut device = Self::start(testbed, storage).await;
        let qr = device.qr().await;
        let linked = testbed.world().scan(&qr, number).await.unwrap();
        device.online(testbed, &linked).await;
        (device, linked)
    }

    pub fn client(&self) -> Arc<Client> {
        self.bot.client()
    }

    /// The next event that matches; others are skipped.
    pub async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let found = tokio::time::timeout(SOON, async {
            loop {
                let event = self.events.recv().await.expect("the client runs");
                if let Some(found) = pick(&event) {
                    return found;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {what} came in time"))
    }

    /// The next QR code.
    pub async fn qr(&mut self) -> String {
        self.next("QR code", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until the device is online and active.
    pub async fn online(&self, testbed: &Testbed, linked: &Linked) {
        let account = testbed.world().directory.find(&linked.number).unwrap();
        until("the device is online", || {
            account
                .with(linked.device, |companion| companion.link.is_some() && companion.active)
                .unwrap_or(false)
        })
        .await;
    }

    /// Stops the client; its storage remains.
    pub async fn stop(self) {
        tokio::time::timeout(SOON, self.bot.shutdown()).await.expect("the client stops in time");
    }
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
