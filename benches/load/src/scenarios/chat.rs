//! Operator chat: a room of many sockets against the sockets of a device and a room in Node, sends, and bridged devices.

use serde_json::{Value, json};

use super::add_shares;
use super::fanout::{Audience, pace, saturate};
use crate::Context;
use crate::client::{HttpClient, Socket};
use crate::devices::{self, BODY, name, repeat};
use crate::figures::{Figures, Unit};
use crate::meter::Meter;
use crate::server::{Server, Target};

/// Users sign in without proof, and write as fast as they can.
const SETTINGS: [(&str, &str); 5] = [
    ("chat.enabled", "true"),
    ("chat.allow_plain_tokens", "true"),
    ("chat.assign", "none"),
    ("chat.max_messages_per_10_s", "1000000"),
    ("chat.max_messages_per_day", "100000000"),
];
const ROOM: &str = "chat room";
const DEVICE: &str = "device";
const DIRECT: &str = "direct";
const BRIDGED: &str = "bridged device";
const CONNECTIONS: u32 = 256;
const INCOMING_CONNECTIONS: u32 = 64;
const CHATS: u64 = 16;

pub async fn run(context: &Context, figures: &mut Figures) {
    for _ in 0..context.options.repetitions {
        room(context, Target::Wharf, ROOM, figures).await;
        device_sockets(context, figures).await;
        room(context, Target::NodeRoom, Target::NodeRoom.name(), figures).await;
        sends(context, figures).await;
        incoming(context, figures).await;
    }
    for (dividend, divisor) in
        [(ROOM, DEVICE), (ROOM, Target::NodeRoom.name()), (DIRECT, DEVICE), (BRIDGED, DEVICE)]
    {
        figures.ratio(dividend, divisor);
    }
    figures.note(format!(
        "{} users with one socket each in one room, or as many sockets of one device, which get two frames for each message. \
         `Node room` stores and counts the same rows in plain Node.",
        context.options.sockets
    ));
    figures.note(format!(
        "{CONNECTIONS} connections send for users of direct conversations, to contacts of a bridged device, and by the API of a device. \
         A send by a device also works its outbox meanwhile."
    ));
}

async fn start(context: &Context, target: Target) -> Server {
    context.programs.start_with(target, &context.programs.directory("chat"), &SETTINGS).await
}

async fn room(context: &Context, target: Target, column: &str, figures: &mut Figures) {
    let server = start(context, target).await;
    let mut sockets = Vec::new();
    for number in 0..context.options.sockets {
        sockets.push(Socket::connect_chat(&server.endpoint, &format!("u{number}:SUPPORT")).await.unwrap());
    }
    let id = match target {
        Target::Wharf => {
            let participants: Vec<String> =
                (0..context.options.sockets).map(|number| format!("plain:u{number}")).collect();
            created(&server, &json!({ "kind": "room", "participants": participants })).await
        }
        _ => "1".to_owned(),
    };
    for socket in &mut sockets {
        socket.request("join:conversation", &json!(id).to_string()).await.unwrap();
    }
    // The first conversation of a new daemon has this id, which lets the request be copied.
    assert_eq!(id, "1");
    let audience = Audience::new(sockets, "message:new");
    let send = async |client: &mut HttpClient, _: usize| send_to(client, "1", "plain:u0").await;
    saturate(context, &server, &audience, send, column, figures).await;
    pace(context, &server, &audience, send, column, figures).await;
    audience.end();
}

async fn device_sockets(context: &Context, figures: &mut Figures) {
    let server = start(context, Target::Wharf).await;
    devices::create(&server, 0..1).await;
    let mut client = server.client().await;
    for number in 0..CHATS {
        devices::receive(&mut client, &name(0), number, CHATS).await;
    }
    let mut sockets = Vec::new();
    for _ in 0..context.options.sockets {
        sockets.push(Socket::connect(&server.endpoint, &name(0)).await.unwrap());
    }
    let audience = Audience::new(sockets, "message");
    let send = async |client: &mut HttpClient, number: usize| {
        devices::receive(client, &name(0), CHATS + number as u64, CHATS).await;
    };
    saturate(context, &server, &audience, send, DEVICE, figures).await;
    pace(context, &server, &audience, send, DEVICE, figures).await;
    audience.end();
}

/// Creates a conversation, and returns its id.
async fn created(server: &Server, body: &Value) -> String {
    let response = server.client().await.post("/api/v1/conversations", body).await.unwrap();
    response.expect_success("create a conversation");
    response.json()["data"]["id"].as_str().unwrap().to_owned()
}

async fn send_to(client: &mut HttpClient, conversation: &str, sender: &str) {
    let body = json!({ "senderId": sender, "content": BODY });
    let path = format!("/api/v1/conversations/{conversation}/messages");
    client.post(&path, &body).await.unwrap().expect_success("a message of a user");
}

async fn sends(context: &Context, figures: &mut Figures) {
    let server = start(context, Target::Wharf).await;
    let mut client = server.client().await;
    for number in 0..2 * CHATS {
        let path = format!("/api/v1/operators/plain:u{number}");
        client.put(&path, &json!({ "role": "SUPPORT" })).await.unwrap().expect_success("a user");
    }
    let mut direct = Vec::new();
    for number in 0..CHATS {
        let users = [format!("plain:u{}", 2 * number), format!("plain:u{}", 2 * number + 1)];
        direct.push(created(&server, &json!({ "kind": "direct", "participants": users })).await);
    }
    let at = |number: u64| usize::try_from(number % CHATS).unwrap_or(0);
    let to_direct = async move |client: &mut HttpClient, _: u32, number: u64| {
        send_to(client, &direct[at(number)], &format!("plain:u{}", 2 * (number % CHATS))).await;
    };
    measure(context, &server, DIRECT, figures, to_direct).await;

    devices::create(&server, 0..2).await;
    let bridged = bridged(&server).await;
    let to_contact = async move |client: &mut HttpClient, _: u32, number: u64| {
        send_to(client, &bridged[at(number)], "plain:u0").await;
    };
    measure(context, &server, BRIDGED, figures, to_contact).await;
    let by_device = async |client: &mut HttpClient, _: u32, number: u64| {
        devices::send(client, &name(1), number, CHATS).await;
    };
    measure(context, &server, DEVICE, figures, by_device).await;
}

/// The conversations of the contacts of the first device.
async fn bridged(server: &Server) -> Vec<String> {
    let mut client = server.client().await;
    bridge(&mut client, 0).await;
    let mut conversations = Vec::new();
    for number in 0..CHATS {
        let path = format!("/api/v1/devices/{}/chats/{}/conversation", name(0), devices::contact(number));
        let opened = client.post(&path, &json!({})).await.unwrap();
        opened.expect_success("open a conversation");
        conversations.push(opened.json()["data"]["id"].as_str().unwrap().to_owned());
    }
    conversations
}

/// Bridges a device, and grants its inbox to a user.
async fn bridge(client: &mut HttpClient, number: u32) {
    let device = name(number);
    let settings = json!({ "settings": { "chat": { "bridge": "people" } } });
    client.patch(&format!("/api/v1/devices/{device}"), &settings).await.unwrap().expect_success("bridge");
    let operators = json!({ "operators": [{ "who": "plain:u0" }] });
    let path = format!("/api/v1/devices/{device}/operators");
    client.put(&path, &operators).await.unwrap().expect_success("grant an inbox");
}

async fn measure<F>(context: &Context, server: &Server, column: &str, figures: &mut Figures, request: F)
where
    F: AsyncFn(&mut HttpClient, u32, u64) + 'static,
{
    let meter = Meter::start(server);
    let sent = repeat(server, CONNECTIONS, context.options.seconds, request).await;
    let used = meter.stop();
    figures.add("256 connections: sends", Unit::PerSecond, column, used.rate(sent.count));
    figures.add("256 connections: CPU per send", Unit::Micros, column, used.per_unit(sent.count));
    let p99 = sent.latencies.percentile(0.99).as_secs_f64() * 1e3;
    figures.add("256 connections: request until 201, 99th percentile", Unit::Millis, column, p99);
    add_shares(figures, column, &used);
}

async fn incoming(context: &Context, figures: &mut Figures) {
    for (column, is_bridged) in [(DEVICE, false), (BRIDGED, true)] {
        let server = start(context, Target::Wharf).await;
        devices::create(&server, 0..INCOMING_CONNECTIONS).await;
        if is_bridged {
            let mut client = server.client().await;
            client
                .put("/api/v1/operators/plain:u0", &json!({ "role": "SUPPORT" }))
                .await
                .unwrap()
                .expect_success("a user");
            for number in 0..INCOMING_CONNECTIONS {
                bridge(&mut client, number).await;
            }
        }
        let meter = Meter::start(&server);
        let receive = async |client: &mut HttpClient, connection: u32, number: u64| {
            devices::receive(client, &name(connection), number, CHATS).await;
        };
        let received = repeat(&server, INCOMING_CONNECTIONS, context.options.seconds, receive).await;
        let used = meter.stop();
        figures.add("incoming: CPU per message", Unit::Micros, column, used.per_unit(received.count));
        figures.add("incoming: messages", Unit::PerSecond, column, used.rate(received.count));
        add_shares(figures, column, &used);
    }
}
