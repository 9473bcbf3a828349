//! The library's HTTP client, over the guarded one.

use async_trait::async_trait;
use whatsapp_rust::anyhow;
use whatsapp_rust::wacore::net::{HttpClient, HttpRequest, HttpResponse};

use crate::net::GuardedClient;

/// Fetches for the library.
pub(super) struct Http {
    _client: GuardedClient,
}

impl Http {
    /// Over this client.
    pub(super) fn new(client: GuardedClient) -> Self {
        Self { _client: client }
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, _request: HttpRequest) -> Result<HttpResponse, anyhow::Error> {
        Err(anyhow::anyhow!("not supported"))
    }
}
