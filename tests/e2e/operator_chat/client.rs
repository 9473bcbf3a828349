//! A daemon with chat, signed tokens, and a client of the `root` dialect.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::support::wire::Wire;
use super::support::{Reply, TestApp};

pub const SECRET: &str = "0d1c9a7e5b3f48620d1c9a7e5b3f4862";
const IDENTITIES: &str = r#"[
    { "name": "desk", "jwt_secret": "${DESK_SECRET}" },
    { "name": "shop", "jwt_secret": "${SHOP_SECRET}" }
]"#;
pub const SHOP_SECRET: &str = "7b3e1f9c2d5a48067b3e1f9c2d5a4806";

/// A daemon with two identity providers.
pub async fn app() -> TestApp {
    app_with(&[]).await
}

pub async fn app_with(more: &[(&str, &str)]) -> TestApp {
    let own = [
        ("WHARF__CHAT__ENABLED", "true"),
        ("WHARF__CHAT__IDENTITIES", IDENTITIES),
        ("DESK_SECRET", SECRET),
        ("SHOP_SECRET", SHOP_SECRET),
        ("WHARF__AUTH__FAILED_TRIES_PER_MINUTE", "1000"),
    ];
    TestApp::start_with(&[&own[..], more].concat()).await
}

pub fn seconds() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

/// A token with these claims.
pub fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .unwrap()
}

/// An hour's token of a user of `desk`.
pub fn token(user: &str) -> String {
    let claims =
        json!({ "sub": user, "name": format!("{user}'s name"), "role": "SUPPORT", "exp": seconds() + 3_600 });
    signed(Algorithm::HS256, SECRET, &claims)
}

/// A request with a user token.
pub async fn rest(app: &TestApp, token: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    let request = app.request(method, &format!("/{path}")).header("Authorization", format!("Bearer {token}"));
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    Reply::of(request.send().await.unwrap()).await
}

/// A socket of a user on the namespace `/`.
pub struct ChatClient {
    wire: Wire,
    next_ack: u32,
    /// Events that were read on the way to another packet.
    events: Vec<Value>,
}

impl ChatClient {
    /// Connects, and checks the first event.
    pub async fn connect(app: &TestApp, user: &str) -> Self {
        Self::connect_with(app, &token(user), user).await
    }

    pub async fn connect_with(app: &TestApp, token: &str, user: &str) -> Self {
        let answer = Self::attempt(app, "/socket.io/", &json!({ "token": token }).to_string()).await;
        let mut client = answer.unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        let first = client.wire.packet_with("42").await;
        assert_eq!(first, format!("42{}", json!(["auth:success", { "userId": user }])));
        client
    }

    /// Connects with this `auth`; an error is the message of the refusal.
    pub async fn attempt(app: &TestApp, path: &str, auth: &str) -> Result<Self, String> {
        let mut wire = Wire::connect_at(app, path, "EIO=4&transport=websocket").await;
        wire.packet_with("0").await;
        wire.send(&format!("40{auth}")).await;
        let answer = wire.packet_with("4").await;
        if let Some(refusal) = answer.strip_prefix("44") {
            let refusal: Value = serde_json::from_str(refusal).unwrap();
            return Err(refusal["message"].as_str().unwrap().to_owned());
        }
        assert!(answer.starts_with("40"), "{answer}");
        Ok(Self { wire, next_ack: 0, events: Vec::new() })
    }

    pub async fn emit(&mut self, event: &str, argument: Value) {
        self.wire.send(&format!("42{}", json!([event, argument]))).await;
    }

    /// Emits with a callback, and returns its argument.
    pub async fn ask(&mut self, event: &str, argument: Value) -> Value {
        self.ask_raw(&json!([event, argument])).await
    }

    pub async fn ask_raw(&mut self, packet: &Value) -> Value {
        self.next_ack += 1;
        let ack = self.next_ack;
        self.wire.send(&format!("42{ack}{packet}")).await;
        let start = format!("43{ack}[");
        loop {
            let packet = self.wire.packet_with("4").await;
            match packet.strip_prefix("42") {
                Some(event) => self.events.push(serde_json::from_str(event).unwrap()),
                None => {
                    let body = packet.strip_prefix(&start).unwrap_or_else(|| panic!("{packet}"));
                    let answer: Vec<Value> = serde_json::from_str(&format!("[{body}")).unwrap();
                    return answer.into_iter().next().unwrap();
                }
            }
        }
    }

    /// The next event with this name; others before it are dropped. Its arguments.
    pub async fn event(&mut self, name: &str) -> Vec<Value> {
        loop {
            let event = self.any_event().await;
            if event[0] == name {
                return event.as_array().unwrap()[1..].to_vec();
            }
        }
    }

    /// The first argument of the next event with this name.
    pub async fn payload(&mut self, name: &str) -> Value {
        self.event(name).await.into_iter().next().unwrap()
    }

    async fn any_event(&mut self) -> Value {
        if !self.events.is_empty() {
            return self.events.remove(0);
        }
        let packet = self.wire.packet_with("42").await;
        serde_json::from_str(&packet[2..]).unwrap()
    }

    /// The events that arrived before the answer to a harmless request.
    pub async fn arrived(&mut self) -> Vec<Value> {
        self.ask("presence:update", Value::Null).await;
        std::mem::take(&mut self.events)
    }

    /// Waits until the server closes the connection.
    pub async fn closed(&mut self) {
        self.wire.closed().await;
    }
}
