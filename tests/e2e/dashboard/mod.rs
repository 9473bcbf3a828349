//! The dashboard: `page` covers its files, `sessions` sign-in and the cookie, `sockets` handshakes by cookie, `live`
//! the events of all devices, `overview` the calls of its other pages.

mod live;
mod overview;
mod page;
mod sessions;
mod sockets;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Reply, TestApp};

/// A browser that is signed in: it sends the cookie, and the headers of each test.
pub struct Browser<'a> {
    app: &'a TestApp,
    /// `name=value`.
    pub cookie: String,
}

impl<'a> Browser<'a> {
    /// Signs in with a key from a page of the daemon.
    pub async fn sign_in(app: &'a TestApp, key: &str) -> Self {
        let request = app.request("POST", "/session").header("sec-fetch-site", "same-origin");
        let reply = app.plain(request.json(&json!({ "apiKey": key }))).await;
        reply.ok();
        let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
        app.private(cookie.split_once('=').unwrap().1);
        Self { app, cookie }
    }

    /// A request with the cookie and these headers.
    pub async fn send(&self, request: RequestBuilder, headers: &[(&str, &str)]) -> Reply {
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.app.plain(request.header("cookie", &self.cookie)).await
    }

    /// A request of the daemon's own page.
    pub async fn own(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let request = self.app.request(method, path);
        let request = body.iter().fold(request, |request, body| request.json(body));
        self.send(request, &[("sec-fetch-site", "same-origin")]).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.own("GET", path, None).await
    }
}

/// A new key, with its id.
pub async fn new_key(app: &TestApp, body: Value) -> (String, String) {
    let made = app.post("/api-keys", body).await.created();
    let text = |field: &str| made["data"][field].as_str().unwrap().to_owned();
    (text("key"), text("id"))
}
