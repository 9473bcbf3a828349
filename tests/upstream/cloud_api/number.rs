//! A phone number at Meta, and the failures that a test can cause.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use wharf::domain::device::Account as DeviceAccount;
use wharf::domain::ids::MessageId;
use wharf::domain::media::StoredMedia;
use wharf::engine::Session;

use crate::upstream::world::Account;

/// A failure of the next requests.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphFault {
    /// `POST …/messages` is rejected: HTTP status, Meta's code, `Retry-After` in seconds.
    Refuse(u16, i64, Option<u64>),
    /// `POST …/messages` is accepted, and the connection closes before the answer.
    Swallow,
    /// Every request is answered 502 with an HTML page.
    Gateway,
    /// The addresses of files have expired.
    ExpiredMedia,
    /// Downloads are answered with this status.
    RefuseMedia(u16),
    /// Downloads hang.
    HangingMedia,
    /// Files do not match their digest.
    OtherMedia,
    /// Each callback is sent twice.
    Twice,
}

/// A phone number of a business.
pub struct Number {
    pub device: String,
    /// The phone-number id.
    pub id: String,
    pub token: String,
    pub app_secret: String,
    pub verify_token: String,
    pub account: Arc<Account>,
    /// The connection to the network, once there is one.
    pub session: watch::Sender<Option<Arc<dyn Session>>>,
    /// The failures, each with its remaining count.
    faults: Mutex<Vec<(GraphFault, u64)>>,
    /// The bodies of all `POST …/messages`, with the milliseconds since the number was created.
    asked: Mutex<Vec<(u128, Value)>>,
    since: tokio::time::Instant,
    /// Our ids of accepted messages, by Meta's ids.
    pub names: Mutex<HashMap<String, MessageId>>,
    /// The callback data of each accepted message, which its statuses carry.
    pub along: Mutex<HashMap<MessageId, Along>>,
    /// The files by Meta's ids.
    pub files: Mutex<HashMap<String, StoredMedia>>,
    /// The number of downloads.
    pub downloads: AtomicU64,
    /// The signatures of file addresses, the oldest first.
    pub addresses: Mutex<VecDeque<String>>,
    /// The delivered messages by Meta's ids.
    pub delivered: Mutex<HashMap<String, MessageId>>,
    /// The account, once the number is connected.
    pub me: Mutex<Option<DeviceAccount>>,
    /// The callbacks that were answered 200.
    pub taken: Mutex<Vec<Value>>,
    /// Whether the API is down.
    pub down: watch::Sender<bool>,
    /// Notified when the daemon has a new address.
    pub again: Notify,
    next: AtomicU64,
}

/// Meta's data of a message.
#[derive(Debug, Clone)]
pub struct Along {
    pub wamid: String,
    pub data: Option<String>,
}

impl Number {
    pub fn new(device: &str, account: Arc<Account>, at: usize) -> Arc<Self> {
        Arc::new(Self {
            device: device.to_owned(),
            id: format!("10654035224{:04}", 2_900 + at),
            token: format!("EAAJtoken{device}"),
            app_secret: format!("app-secret-of-{device}"),
            verify_token: format!("verify-token-of-{device}"),
            account,
            session: watch::Sender::new(None),
            faults: Mutex::default(),
            asked: Mutex::default(),
            since: tokio::time::Instant::now(),
            names: Mutex::default(),
            along: Mutex::default(),
            files: Mutex::default(),
            downloads: AtomicU64::new(0),
            addresses: Mutex::default(),
            delivered: Mutex::default(),
            me: Mutex::default(),
            taken: Mutex::default(),
            down: watch::Sender::new(false),
            again: Notify::new(),
            next: AtomicU64::new(1),
        })
    }

    /// Causes a failure this many times.
    pub fn fail(&self, fault: GraphFault, times: u64) {
        self.faults.lock().unwrap().push((fault, times));
    }

    /// Removes all failures.
    pub fn clear_faults(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// The current failure that matches `is`; counts it.
    pub fn take_fault(&self, is: impl Fn(&GraphFault) -> bool) -> Option<GraphFault> {
        let mut faults = self.faults.lock().unwrap();
        faults.retain(|(_, left)| *left > 0);
        let (fault, left) = faults.iter_mut().find(|(fault, _)| is(fault))?;
        *left -= 1;
        Some(fault.clone())
    }

    pub fn record(&self, body: &Value) {
        self.asked.lock().unwrap().push((self.since.elapsed().as_millis(), body.clone()));
    }

    /// The bodies of `POST …/messages` in order.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    /// The times of the sends, in milliseconds.
    pub fn tried_at(&self) -> Vec<u128> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, body)| body.get("type").is_some()).map(|(at, _)| *at).collect()
    }

    /// The connection to the network; waits for it.
    pub async fn session(&self) -> Arc<dyn Session> {
        let mut session = self.session.subscribe();
        session.wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    /// A new message id in Meta's form.
    pub fn wamid(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        format!("wamid.{}", STANDARD.encode(format!("{}:{number:08}", self.id)))
    }

    /// A new id of a file.
    pub fn file_id(&self) -> String {
        format!("{}", 1_000_000_000_000 + self.next.fetch_add(1, Ordering::SeqCst))
    }

    /// A new signature for the address of a file.
    pub fn address(&self) -> String {
        let signature = format!("sig{}", self.next.fetch_add(1, Ordering::SeqCst));
        self.addresses.lock().unwrap().push_back(signature.clone());
        signature
    }
}
