//! Sends texts through one device, each with its own `Idempotency-Key`.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::time::sleep;

use super::{BUSY, Halt, PAUSE_WHEN_BUSY, Worker};
use crate::process::{Http, SeededRng};

/// A text that was requested at least once.
pub struct Text {
    /// Its `Idempotency-Key`, which is also its `tempId`.
    pub key: String,
    /// The chat.
    pub to: String,
    /// The body, unique among all texts.
    pub body: String,
    /// The id of the 201, once received.
    pub id: Option<String>,
}

/// Sends through one device.
pub struct Sender {
    pub device: String,
    /// All texts so far.
    pub texts: Vec<Text>,
    /// Number of repeated requests after a lost answer.
    pub repeated: u64,
    chats: Vec<String>,
    pause: Duration,
    /// Indexes of unanswered texts.
    open: VecDeque<usize>,
    rng: SeededRng,
}

impl Sender {
    /// Sends to these chats, with a pause after each text.
    pub fn new(device: &str, chats: &[&str], pause: Duration, rng: SeededRng) -> Self {
        let chats = chats.iter().map(|&chat| chat.to_owned()).collect();
        Self {
            device: device.to_owned(),
            texts: Vec::new(),
            repeated: 0,
            chats,
            pause,
            open: VecDeque::new(),
            rng,
        }
    }

    /// Repeats every unanswered request.
    pub async fn finish(&mut self, http: &Http) -> Result<(), Halt> {
        while let Some(at) = self.open.front().copied() {
            self.send(http, at).await?;
        }
        Ok(())
    }

    /// Texts that were answered 201.
    pub fn accepted(&self) -> impl Iterator<Item = (&Text, &str)> {
        self.texts.iter().filter_map(|text| Some((text, text.id.as_deref()?)))
    }

    /// Sends the next text: an unanswered one, sometimes an answered one, else a new one.
    pub async fn step(&mut self, http: &Http) -> Result<(), Halt> {
        let at = match self.open.front().copied() {
            Some(at) => {
                self.repeated += 1;
                at
            }
            None if !self.texts.is_empty() && self.rng.one_in(12) => self.any(),
            None => self.compose(),
        };
        self.send(http, at).await
    }

    fn any(&mut self) -> usize {
        let last = u64::try_from(self.texts.len() - 1).unwrap();
        usize::try_from(self.rng.between(0, last)).unwrap()
    }

    fn compose(&mut self) -> usize {
        let at = self.texts.len();
        let to = self.rng.pick(&self.chats).clone();
        let (key, body) = (format!("{}-{at}", self.device), format!("quokka out {} {at}", self.device));
        self.texts.push(Text { key, to, body, id: None });
        self.open.push_back(at);
        at
    }

    async fn send(&mut self, http: &Http, at: usize) -> Result<(), Halt> {
        let text = &mut self.texts[at];
        let body = json!({ "to": text.to, "text": text.body, "tempId": text.key });
        let path = format!("devices/{}/messages/send", self.device);
        let answer = http.post_once(&path, &body, &text.key).await?;
        match (answer.status, answer.text("/id")) {
            (201, Some(id)) if text.id.as_deref().is_none_or(|stored| stored == id) => {
                text.id = Some(id.to_owned());
            }
            (201, id) => {
                return Err(Halt::Wrong(format!("{} was {:?} and is {id:?} now", text.key, text.id)));
            }
            (BUSY, _) => {
                sleep(PAUSE_WHEN_BUSY).await;
                return Ok(());
            }
            _ => return Err(Halt::Wrong(format!("send {}: {} {}", text.key, answer.status, answer.body))),
        }
        self.open.retain(|open| *open != at);
        Ok(())
    }
}

impl Worker for Sender {
    fn next_step<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Result<(), Halt>> {
        Box::pin(self.step(http))
    }

    fn pause(&self) -> Duration {
        self.pause
    }
}
