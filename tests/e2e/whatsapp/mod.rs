//! The engine `whatsapp` against the testbed, a WhatsApp server with phones in the test's process.

mod app_state;
mod codes;
mod disconnects;
mod linking;
mod media;
mod messages;
mod missing_files;
mod network;
mod passkey;
mod presence;
mod rich;

use serde_json::{Value, json};
use testbed::Testbed;

use crate::support::TestApp;

/// The number of the linking phone.
const ME: &str = "15550100009";

/// A testbed and a daemon connected to it.
struct Native {
    app: TestApp,
    testbed: Testbed,
}

impl Native {
    async fn start() -> Self {
        let testbed = Testbed::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", testbed.address());
        let app = TestApp::start_with(&[("WHARF__ENGINES__WHATSAPP__TESTBED_URL", &url)]).await;
        Self { app, testbed }
    }

    /// A device that shows a code.
    async fn new_device(&self, id: &str, world: Value) {
        let settings = json!({ "whatsapp": { "testbed": world } });
        let body = json!({ "id": id, "engine": "whatsapp", "settings": settings });
        self.app.post("/devices", body).await.created();
        self.app.wait_for_state(id, "qr").await;
    }

    /// A device that is linked and ready.
    async fn device(&self, id: &str, world: Value) -> Value {
        self.new_device(id, world).await;
        self.app.post(&format!("/simulator/{id}/scan"), json!({ "phoneNumber": ME })).await.ok();
        self.app.wait_for_state(id, "ready").await
    }

    async fn stop(self) {
        self.app.stop().await;
        self.testbed.stop().await;
    }
}
