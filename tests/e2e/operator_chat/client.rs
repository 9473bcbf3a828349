//! A daemon with chat, signed tokens, and a client of the `root` and `namespace` dialects.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::support::wire::Wire;
use super::support::{Reply, TestApp};

pub const SECRET: &str = "0d1c9a7e5b3f48620d1c9a7e5b3f4862";
const IDENTITIES: &str = r#"[
    { "name": "desk", "jwt_secret": "${DESK_SECRET}" },
    { "name": "shop", "jwt_secret": "${SHOP_SECRET}" },
    { "name": "market", "jwt_secret": "${MARKET_SECRET}", "dialects": ["namespace"], "user_claim": ["id"] }
]"#;
pub const SHOP_SECRET: &str = "7b3e1f9c2d5a48067b3e1f9c2d5a4806";
/// Of an identity provider whose users are pairs of type and id.
pub const MARKET_SECRET: &str = "51c0a8e2f7d946b351c0a8e2f7d946b3";

/// A daemon with three identity providers.
pub async fn app() -> TestApp {
    app_with(&[]).await
}

/// As [`app`], where a reply assigns nothing, so that no system message is added.
pub async fn unassigned_app() -> TestApp {
    app_with(&[("WHARF__CHAT__ASSIGN", "none")]).await
}

pub async fn app_with(more: &[(&str, &str)]) -> TestApp {
    let own = [
        ("WHARF__CHAT__ENABLED", "true"),
        ("WHARF__CHAT__IDENTITIES", IDENTITIES),
        ("DESK_SECRET", SECRET),
        ("SHOP_SECRET", SHOP_SECRET),
        ("MARKET_SECRET", MARKET_SECRET),
        ("WHARF__AUTH__FAILED_TRIES_PER_MINUTE", "1000"),
    ];
    let own = own.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    TestApp::start_with(&own.chain(more.iter().copied()).collect::<Vec<_>>()).await
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

/// Tokens that no dialect accepts.
pub fn wrong_tokens() -> Vec<String> {
    let claims = json!({ "sub": "anna", "exp": seconds() + 3_600 });
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbm5hIiwiZXhwIjo0MTAyNDQ0ODAwfQ.";
    let hs256 = |claims: &Value| signed(Algorithm::HS256, SECRET, claims);
    let valid = hs256(&claims);
    let (message, _) = valid.rsplit_once('.').unwrap();
    vec![
        String::new(),
        "anna".to_owned(),
        "anna:SUPPORT".to_owned(),
        none.to_owned(),
        format!("{message}."),
        format!("{valid}x"),
        signed(Algorithm::HS384, SECRET, &claims),
        signed(Algorithm::HS512, SECRET, &claims),
        signed(Algorithm::HS256, "another-secret-of-32-bytes-or-more", &claims),
        hs256(&json!({ "sub": "anna" })),
        hs256(&json!({ "sub": "anna", "exp": null })),
        hs256(&json!({ "sub": "anna", "exp": "4102444800" })),
        hs256(&json!({ "sub": "anna", "exp": seconds() - 60 })),
        hs256(&json!({ "sub": "anna", "exp": seconds() + 120, "nbf": seconds() + 60 })),
        hs256(&json!({ "exp": seconds() + 60 })),
        hs256(&json!({ "sub": "x".repeat(129), "exp": seconds() + 60 })),
    ]
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

/// A socket of a user.
pub struct ChatClient {
    wire: Wire,
    /// The namespace in packets, with its comma; empty on `/`.
    namespace: &'static str,
    next_ack: u32,
    /// Events that were read on the way to another packet.
    events: Vec<Value>,
    /// The private id of the CONNECT packet.
    pub pid: Option<String>,
    /// The last offset that was read, as a client of Socket.IO keeps it.
    pub offset: Option<String>,
}

/// A client without a connection, and what it remembers.
pub struct LostClient {
    namespace: &'static str,
    pid: Option<String>,
    offset: Option<String>,
}

impl LostClient {
    /// Connects as a client of Socket.IO does after it lost its connection: with the private id and the offset.
    /// Returns the new socket, after its first event, and whether its session was recovered.
    pub async fn reconnect(self, app: &TestApp, path: &str, token: &str) -> (ChatClient, bool) {
        let Self { namespace, pid, offset } = self;
        let mut auth = json!({ "token": token, "pid": pid });
        if let Some(offset) = &offset {
            auth["offset"] = offset.clone().into();
        }
        let mut next = ChatClient::attempt_at(app, path, namespace, &auth.to_string()).await.unwrap();
        next.any_event().await;
        let is_recovered = next.pid.is_some() && next.pid == pid;
        next.offset = offset.filter(|_| is_recovered);
        (next, is_recovered)
    }
}

/// The offset of an event, which its last argument is; it is removed, and so is `seq` of its objects.
fn split_offset(event: &mut Value) -> Option<String> {
    let arguments = event.as_array_mut().unwrap();
    let is_offset = |text: &str| text.split('.').all(|part| part.parse::<i64>().is_ok());
    let offset = arguments.last()?.as_str().filter(|text| is_offset(text))?.to_owned();
    arguments.pop();
    let seq: i64 = offset.split('.').next().unwrap().parse().unwrap();
    for object in arguments.iter_mut().filter_map(Value::as_object_mut) {
        assert_eq!(object.remove("seq"), Some(seq.into()), "each object of a logged event has its position");
    }
    Some(offset)
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

    /// Connects to the namespace `/chat`, and returns the first event.
    pub async fn connect_namespace(app: &TestApp, token: &str) -> (Self, Value) {
        let auth = json!({ "token": token }).to_string();
        let answer = Self::attempt_at(app, "/socket.io/", "/chat,", &auth).await;
        let mut client = answer.unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        let first = client.any_event().await;
        (client, first)
    }

    /// Connects with this `auth`; an error is the message of the refusal.
    pub async fn attempt(app: &TestApp, path: &str, auth: &str) -> Result<Self, String> {
        Self::attempt_at(app, path, "", auth).await
    }

    /// As [`ChatClient::attempt`], in a namespace.
    pub async fn attempt_at(
        app: &TestApp,
        path: &str,
        namespace: &'static str,
        auth: &str,
    ) -> Result<Self, String> {
        Self::attempt_with(app, path, namespace, auth, &[]).await
    }

    /// As [`ChatClient::attempt_at`], with headers in the upgrade to a WebSocket.
    pub async fn attempt_with(
        app: &TestApp,
        path: &str,
        namespace: &'static str,
        auth: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, String> {
        let wire = Wire::with_headers_at(app, path, "EIO=4&transport=websocket", headers).await;
        let mut wire = wire.map_err(|status| format!("upgrade refused: {status}"))?;
        wire.packet_with("0").await;
        wire.send(&format!("40{namespace}{auth}")).await;
        let answer = wire.packet_with("4").await;
        if let Some(refusal) = answer.strip_prefix(&format!("44{namespace}")) {
            let refusal: Value = serde_json::from_str(refusal).unwrap();
            return Err(refusal["message"].as_str().unwrap().to_owned());
        }
        let connected = answer.strip_prefix(&format!("40{namespace}")).unwrap_or_else(|| panic!("{answer}"));
        let connected: Value = serde_json::from_str(connected).unwrap();
        let pid = connected["pid"].as_str().map(str::to_owned);
        Ok(Self { wire, namespace, next_ack: 0, events: Vec::new(), pid, offset: None })
    }

    /// Loses the connection.
    pub fn lose(self) -> LostClient {
        LostClient { namespace: self.namespace, pid: self.pid, offset: self.offset }
    }

    pub async fn emit(&mut self, event: &str, argument: Value) {
        let namespace = self.namespace;
        self.wire.send(&format!("42{namespace}{}", json!([event, argument]))).await;
    }

    /// Emits with a callback, and returns its argument.
    pub async fn ask(&mut self, event: &str, argument: Value) -> Value {
        self.ask_raw(&json!([event, argument])).await
    }

    pub async fn ask_raw(&mut self, packet: &Value) -> Value {
        self.next_ack += 1;
        let (ack, namespace) = (self.next_ack, self.namespace);
        self.wire.send(&format!("42{namespace}{ack}{packet}")).await;
        let (start, event) = (format!("43{namespace}{ack}["), format!("42{namespace}"));
        loop {
            let packet = self.wire.packet_with("4").await;
            match packet.strip_prefix(&event) {
                Some(event) => {
                    let event = self.read(event);
                    self.events.push(event);
                }
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
        let start = format!("42{}", self.namespace);
        let packet = self.wire.packet_with(&start).await;
        self.read(&packet[start.len()..])
    }

    /// An event without its offset, which is kept.
    fn read(&mut self, event: &str) -> Value {
        let mut event = serde_json::from_str(event).unwrap();
        if let Some(offset) = split_offset(&mut event) {
            self.offset = Some(offset);
        }
        event
    }

    /// The events that arrived before the answer to a harmless request.
    pub async fn arrived(&mut self) -> Vec<Value> {
        let harmless = if self.namespace.is_empty() { "presence:update" } else { "heartbeat:response" };
        self.ask(harmless, Value::Null).await;
        std::mem::take(&mut self.events)
    }

    /// The events that were read on the way to answers.
    pub fn taken(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// Waits until the server closes the connection.
    pub async fn closed(&mut self) {
        self.wire.closed().await;
    }
}
