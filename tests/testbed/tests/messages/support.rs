//! A linked device with its storage, and the control API of its account.

use serde_json::{Value, json};
use testbed::Testbed;
use testbed::server::pairing::Linked;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wacore::types::events::{Event, Receipt};
use wacore::types::presence::ReceiptType;
use waproto::whatsapp as wa;

use crate::device::{Device, SOON, Storage, storage};

/// The account's own number.
pub const ME: &str = "15550100001";
/// Two contacts.
pub const ANNA: &str = "15550100011";
pub const BEN: &str = "15550100012";
/// A group.
pub const GROUP: &str = "120363000000000001@g.us";

/// A testbed with a linked device.
pub struct Linkage {
    pub testbed: Testbed,
    pub device: Device,
    pub kept: Storage,
    pub linked: Linked,
}

/// A received message.
#[derive(Debug, PartialEq, Eq)]
pub struct Got {
    pub id: String,
    pub chat: String,
    pub sender: String,
    pub text: String,
    pub offline: bool,
}

impl Linkage {
    /// Links a device in this world.
    pub async fn with(world: Value) -> Self {
        let testbed = Testbed::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let kept = storage();
        let mut device = Device::start(&testbed, &kept).await;
        let qr = device.qr().await;
        let scan = json!({ "qr": qr, "phoneNumber": ME, "world": world });
        let answer = post(&testbed, "/control/scan", &scan).await.unwrap();
        let account = testbed.world().directory.find(ME).unwrap();
        let linked = Linked {
            number: ME.to_owned(),
            lid: account.lid.clone(),
            device: u16::try_from(answer["device"].as_u64().unwrap()).unwrap(),
            client_name: String::new(),
        };
        device.online(&testbed, &linked).await;
        Self { testbed, device, kept, linked }
    }

    /// Links a device in the default world.
    pub async fn new() -> Self {
        Self::with(json!({})).await
    }

    /// Calls a verb; the error is the code of a refusal.
    pub async fn call_verb(&self, verb: &str, body: Value) -> Result<Value, String> {
        post(&self.testbed, &format!("/control/accounts/{ME}/{verb}"), &body).await
    }

    /// The network's record of the account.
    pub async fn network(&self) -> Value {
        call(&self.testbed, "GET", &format!("/control/accounts/{ME}/network"), "").await.unwrap()
    }

    /// The network's record, once it fulfils a condition.
    pub async fn network_when(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let seen = self.network().await;
                if condition(&seen) {
                    return seen;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(SOON, waiting).await {
            Ok(seen) => seen,
            Err(_) => panic!("not in time: {what}; {}", self.network().await),
        }
    }

    /// Sends a text; returns its id.
    pub async fn send(&self, to: &str, text: &str) -> String {
        let message = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
        let to: wacore_binary::Jid = to.parse().unwrap();
        self.device.client().send_message(to, message).await.unwrap().message_id.clone()
    }

    /// The next message that the device receives.
    pub async fn receive(&mut self) -> Got {
        self.receive_all(1).await.remove(0)
    }

    /// The next messages that the device receives.
    pub async fn receive_all(&mut self, count: usize) -> Vec<Got> {
        let mut received = Vec::new();
        while received.len() < count {
            let more = self
                .device
                .next("message", |event| match event {
                    Event::Messages(batch) => {
                        let texts = batch.iter().filter_map(got);
                        let texts: Vec<Got> = texts.collect();
                        (!texts.is_empty()).then_some(texts)
                    }
                    _ => None,
                })
                .await;
            received.extend(more);
        }
        received
    }

    /// The next receipt.
    pub async fn next_receipt(&mut self) -> Receipt {
        self.device
            .next("receipt", |event| match event {
                Event::Receipt(receipt) => Some(receipt.clone()),
                _ => None,
            })
            .await
    }

    /// The next receipt of this kind.
    pub async fn next_receipt_of(&mut self, kind: &ReceiptType) -> Receipt {
        loop {
            let receipt = self.next_receipt().await;
            if receipt.r#type == *kind {
                return receipt;
            }
        }
    }
}

fn got(message: &wacore::types::events::InboundMessage) -> Option<Got> {
    let text = wacore::proto_helpers::MessageExt::text_content(message.message.as_ref())?.to_owned();
    let info = &message.info;
    Some(Got {
        id: info.id.clone(),
        chat: info.source.chat.to_string(),
        sender: info.source.sender.to_string(),
        text,
        offline: info.is_offline,
    })
}

/// A person's id.
pub fn of(number: &str) -> String {
    format!("{number}@s.whatsapp.net")
}

/// Calls the control API.
pub async fn post(testbed: &Testbed, path: &str, body: &Value) -> Result<Value, String> {
    call(testbed, "POST", path, &body.to_string()).await
}

/// One HTTP request without a client library.
async fn call(testbed: &Testbed, method: &str, path: &str, body: &str) -> Result<Value, String> {
    let mut stream = TcpStream::connect(testbed.address()).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: testbed\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    if head.starts_with("HTTP/1.1 200") {
        Ok(body)
    } else {
        Err(body["code"].as_str().unwrap_or(head).to_owned())
    }
}
