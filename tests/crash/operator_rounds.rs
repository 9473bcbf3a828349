//! SIGKILL while operators answer contacts of a device, and write internal notes.
//!
//! An operator repeats a message without an answer with its `tempId`, so that it exists once in the end: in the
//! conversation and at the contact. No note is at the network.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::checks::{self, Seen};
use crate::database::Database;
use crate::fleet::{self, create, quick, until_sent};
use crate::process::{DaemonHome, Http, SeededRng};
use crate::rounds::number;
use crate::tally::Tally;
use crate::traffic::{Halt, Worker as _, Writer};

const ROUNDS: u64 = 40;
const LIFE_MS: (u64, u64) = (30, 400);
const DEVICE: &str = "shop";
const OPERATORS: [&str; 2] = ["anna", "bela"];
/// The contacts that the writer has.
const CONTACTS: usize = 7;
const PAUSE: Duration = Duration::from_millis(6);
/// One message in this many is a note.
const NOTES: u64 = 6;
/// A kill is noticed within this time.
const NOTICE: Duration = Duration::from_secs(20);
const SECRET: &str = "9c41b7e2f05d68a39c41b7e2f05d68a3";

/// A message of an operator; `id` is set once it was answered.
struct Reply {
    conversation: String,
    text: String,
    is_note: bool,
    id: Option<String>,
}

/// One operator, who answers in all conversations in turn.
struct Operator {
    name: &'static str,
    replies: Vec<Reply>,
    rng: SeededRng,
}

impl Operator {
    /// Sends the message without an answer again, or else a new one.
    async fn step(&mut self, http: &Http, conversations: &[String]) -> Result<(), Halt> {
        let is_answered = self.replies.last().is_none_or(|reply| reply.id.is_some());
        if is_answered {
            let at = self.replies.len();
            let is_note = self.rng.one_in(NOTES);
            let word = if is_note { "note" } else { "reply" };
            self.replies.push(Reply {
                conversation: conversations[at % conversations.len()].clone(),
                text: format!("quokka {word} of {} {at}", self.name),
                is_note,
                id: None,
            });
        }
        let Some(reply) = self.replies.last_mut() else { return Ok(()) };
        let answer = if reply.is_note {
            let path = format!("conversations/{}/notes", reply.conversation);
            http.post(&path, &json!({ "content": reply.text })).await?
        } else {
            let body = json!({
                "senderId": format!("desk:{}", self.name), "content": reply.text, "tempId": reply.text,
            });
            http.post(&format!("conversations/{}/messages", reply.conversation), &body).await?
        };
        match answer.text("/id") {
            Some(id) => reply.id = Some(id.to_owned()),
            None if answer.status == 503 => sleep(PAUSE).await,
            None => return Err(Halt::Wrong(format!("{}: {} {}", reply.text, answer.status, answer.body))),
        }
        Ok(())
    }

    async fn run(&mut self, http: &Http, conversations: &[String]) -> Halt {
        loop {
            if let Err(halt) = self.step(http, conversations).await {
                return halt;
            }
            sleep(PAUSE).await;
        }
    }
}

async fn home() -> DaemonHome {
    let identities = json!([{ "name": "desk", "jwt_secret": "${CRASH_CHAT_SECRET}" }]).to_string();
    fleet::home()
        .await
        .with("chat.enabled", "true")
        .with("chat.identities", &identities)
        .with("chat.max_messages_per_10_s", "1000000")
        .with("chat.max_messages_per_day", "100000000")
        .with_environment("CRASH_CHAT_SECRET", SECRET)
}

/// A bridged device with a conversation for each contact of the writer; their ids.
async fn conversations(http: &Http, writer: &mut Writer) -> Vec<String> {
    create(http, DEVICE, &quick()).await;
    let bridged = json!({ "settings": { "chat": { "bridge": "people" } } });
    http.patch(&format!("devices/{DEVICE}"), &bridged).await.unwrap().expect("bridge the device");
    for name in OPERATORS {
        let path = format!("operators/desk:{name}");
        http.put(&path, &json!({ "name": name })).await.unwrap().expect("add an operator");
    }
    let grants = json!({ "operators": [{ "who": "desk:anna" }, { "who": "desk:bela" }] });
    http.put(&format!("devices/{DEVICE}/operators"), &grants).await.unwrap().expect("grant the inbox");
    while writer.written.len() < CONTACTS {
        assert!(writer.step(http).await.is_ok(), "a contact writes");
    }
    let list = http.get("conversations").await.unwrap().expect("the conversations");
    let ids = list["conversations"].as_array().unwrap().iter();
    ids.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// The texts of all conversations, with how often each is there.
async fn stored(http: &Http, conversations: &[String]) -> HashMap<String, u64> {
    let mut texts: HashMap<String, u64> = HashMap::new();
    for id in conversations {
        let mut cursor = String::new();
        loop {
            let path = format!("conversations/{id}/messages?limit=100{cursor}");
            let page = http.get(&path).await.unwrap().expect("messages of a conversation");
            for message in page["messages"].as_array().unwrap() {
                *texts.entry(message["content"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
    }
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_kills_under_operators_lose_and_duplicate_nothing() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    eprintln!("{rounds} rounds, WHARF_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("kills-operators", seed);
    let home = home().await;
    let mut writer = Writer::new(DEVICE, None, PAUSE, rng.fork());
    let daemon = home.start().await;
    let conversations = conversations(&daemon.http, &mut writer).await;
    assert_eq!(conversations.len(), CONTACTS);
    daemon.kill();
    let mut operators = OPERATORS.map(|name| Operator { name, replies: Vec::new(), rng: rng.fork() });
    for round in 0..rounds {
        let daemon = home.start().await;
        let http = daemon.http.clone();
        let life = Duration::from_millis(rng.between(LIFE_MS.0, LIFE_MS.1));
        let killed = async {
            sleep(life).await;
            daemon.kill();
        };
        let [anna, bela] = &mut operators;
        let all = async {
            let (anna, bela) = (anna.run(&http, &conversations), bela.run(&http, &conversations));
            tokio::join!(anna, bela, writer.run(&http), killed)
        };
        let (anna, bela, contacts, ()) =
            timeout(life + NOTICE, all).await.expect("clients detect the end of the daemon");
        for halt in [anna, bela, contacts] {
            if let Halt::Wrong(what) = halt {
                panic!("round {round}, seed {seed}: {what}");
            }
        }
        tally.rounds += 1;
    }

    let daemon = home.start().await;
    let http = &daemon.http;
    for operator in &mut operators {
        while operator.replies.last().is_some_and(|reply| reply.id.is_none()) {
            assert!(operator.step(http, &conversations).await.is_ok(), "the last message is repeated");
        }
    }
    assert!(writer.finish(http).await.is_ok(), "the last messages of contacts are repeated");
    until_sent(http, DEVICE, Duration::from_secs(60)).await;
    let log = checks::checked_log(http, DEVICE).await;
    checks::received_once(http, &writer, &log).await;
    let (texts, network) = (stored(http, &conversations).await, Seen::read(http, DEVICE).await);
    let count = |text: &str| texts.get(text).copied().unwrap_or(0);
    for reply in operators.iter().flat_map(|operator| &operator.replies) {
        tally.lost += u64::from(count(&reply.text) == 0);
        let at_network = network.count_of(&reply.text);
        if reply.is_note {
            assert_eq!(at_network, 0, "a note is at the network: {}", reply.text);
            continue;
        }
        tally.duplicated += u64::from(count(&reply.text) > 1 || at_network > 1);
        tally.lost += u64::from(at_network == 0);
    }
    for written in &writer.written {
        tally.lost += u64::from(count(&written.body) == 0);
        tally.duplicated += u64::from(count(&written.body) > 1);
    }
    daemon.stop().await;
    Database::open(&home).check();
    let replies: usize = operators.iter().map(|operator| operator.replies.len()).sum();
    assert!(replies > 0 && writer.written.len() > CONTACTS, "there was no traffic");
    tally.add("texts of operators", replies);
    tally.add("messages of contacts", writer.written.len());
    tally.count_panics(&home);
    tally.check();
}
