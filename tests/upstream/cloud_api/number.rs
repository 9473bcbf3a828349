//! A phone number at Meta, and what a test can make go wrong there.

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

/// What goes wrong with the next requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// `POST …/messages` is refused so: HTTP status, Meta's code, `Retry-After` in seconds.
    Refuse(u16, i64, Option<u64>),
    /// `POST …/messages` is taken, and the connection closed before the answer.
    Swallow,
    /// Everything is answered 502 with a page of HTML.
    Gateway,
    /// Files are not given: their addresses have expired.
    ExpiredMedia,
    /// Files are answered with this status.
    RefuseMedia(u16),
    /// Files never come.
    HangingMedia,
    /// Files have other bytes than Meta says.
    OtherMedia,
    /// Each callback comes twice.
    Twice,
}

/// A phone number.
pub struct Number {
    pub device: String,
    /// Its id at Meta.
    pub id: String,
    pub token: String,
    pub app_secret: String,
    pub verify_token: String,
    pub account: Arc<Account>,
    /// The network's side, once the number is connected.
    pub session: watch::Sender<Option<Arc<dyn Session>>>,
    /// What goes wrong, with how often still.
    troubles: Mutex<Vec<(Trouble, u64)>>,
    /// Bodies of `POST …/messages`, whatever became of them, with the milliseconds since the number was made.
    asked: Mutex<Vec<(u128, Value)>>,
    since: tokio::time::Instant,
    /// Of messages that were taken: Meta's names with ours.
    pub names: Mutex<HashMap<String, MessageId>>,
    /// What goes along with each message that was taken, and comes back with its statuses.
    pub along: Mutex<HashMap<MessageId, Along>>,
    /// Files by Meta's ids.
    pub files: Mutex<HashMap<String, StoredMedia>>,
    /// How often a file was asked for.
    pub downloads: AtomicU64,
    /// Signatures of files' addresses, the oldest first.
    pub addresses: Mutex<VecDeque<String>>,
    /// Messages that were told, by Meta's names.
    pub heard: Mutex<HashMap<String, MessageId>>,
    /// Whose number it is, once it is connected.
    pub me: Mutex<Option<DeviceAccount>>,
    /// Callbacks that were answered 200.
    pub taken: Mutex<Vec<Value>>,
    /// Whether the link is down: nobody answers.
    pub down: watch::Sender<bool>,
    /// The daemon listens somewhere else.
    pub again: Notify,
    next: AtomicU64,
}

/// What Meta keeps of a message.
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
            troubles: Mutex::default(),
            asked: Mutex::default(),
            since: tokio::time::Instant::now(),
            names: Mutex::default(),
            along: Mutex::default(),
            files: Mutex::default(),
            downloads: AtomicU64::new(0),
            addresses: Mutex::default(),
            heard: Mutex::default(),
            me: Mutex::default(),
            taken: Mutex::default(),
            down: watch::Sender::new(false),
            again: Notify::new(),
            next: AtomicU64::new(1),
        })
    }

    /// Makes something go wrong, so often.
    pub fn trouble(&self, trouble: Trouble, times: u64) {
        self.troubles.lock().unwrap().push((trouble, times));
    }

    /// Nothing goes wrong any more.
    pub fn no_trouble(&self) {
        self.troubles.lock().unwrap().clear();
    }

    /// What goes wrong now, of what `is` picks.
    pub fn struck(&self, is: impl Fn(&Trouble) -> bool) -> Option<Trouble> {
        let mut troubles = self.troubles.lock().unwrap();
        troubles.retain(|(_, left)| *left > 0);
        let (trouble, left) = troubles.iter_mut().find(|(trouble, _)| is(trouble))?;
        *left -= 1;
        Some(trouble.clone())
    }

    pub fn note(&self, body: &Value) {
        self.asked.lock().unwrap().push((self.since.elapsed().as_millis(), body.clone()));
    }

    /// What was asked of `POST …/messages`, in order.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    /// When messages were tried, in milliseconds.
    pub fn tried_at(&self) -> Vec<u128> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, body)| body.get("type").is_some()).map(|(at, _)| *at).collect()
    }

    /// The network's side; waits until it is connected.
    pub async fn session(&self) -> Arc<dyn Session> {
        let mut session = self.session.subscribe();
        session.wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    /// An id as Meta gives them.
    pub fn wamid(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        format!("wamid.{}", STANDARD.encode(format!("{}:{number:08}", self.id)))
    }

    /// The id of a file.
    pub fn file_id(&self) -> String {
        format!("{}", 1_000_000_000_000 + self.next.fetch_add(1, Ordering::SeqCst))
    }

    /// The address's signature of a file.
    pub fn address(&self) -> String {
        let signature = format!("sig{}", self.next.fetch_add(1, Ordering::SeqCst));
        self.addresses.lock().unwrap().push_back(signature.clone());
        signature
    }
}
