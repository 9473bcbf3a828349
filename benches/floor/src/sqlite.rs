//! The rows of messages in grouped transactions, with the schema that the Node peer uses too.
//!
//! A sent message takes five transactions, each shared by a group: accepted, handed over, and three acknowledgements.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use rusqlite::{Connection, Transaction, params};

const DEVICE: &str = "d0000";
const ME: &str = "15550190000@c.us";
const HOUR_MS: i64 = 3_600_000;
/// Any moment; the rows are the same size at each.
const NOW: i64 = 1_795_414_208_527;
const BODY: &str = "Hello, how are you? This is an ordinary message of a customer.";
const CHATS: usize = 16;

/// What happens to the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// They are sent until they are read
    Send,
    /// They come in
    Inbound,
}

/// The options of the floor of SQLite.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory of the database, which is created
    #[arg(long)]
    dir: PathBuf,
    /// The schema of the database
    #[arg(long)]
    schema: PathBuf,
    /// Messages in all
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// Messages that share a transaction
    #[arg(long, default_value_t = 64)]
    group: usize,
    /// What happens to them
    #[arg(long, value_enum)]
    work: Work,
}

/// Writes the rows, and prints what they cost as JSON.
pub fn run(args: &Args) {
    let mut connection = open(&args.dir, &args.schema);
    let mut floor = Floor { seq: 0, written: 0 };
    // Tables and statements are warm before the clock starts.
    write(&mut connection, &mut floor, args, args.group);
    let (cpu, began) = (cpu_ns(), Instant::now());
    write(&mut connection, &mut floor, args, args.messages);
    let result = serde_json::json!({
        "units": args.messages,
        "cpuNs": cpu_ns() - cpu,
        "seconds": began.elapsed().as_secs_f64(),
    });
    println!("{result}");
}

fn open(dir: &Path, schema: &Path) -> Connection {
    fs::create_dir_all(dir).unwrap();
    let connection = Connection::open(dir.join("floor.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.pragma_update(None, "foreign_keys", "ON").unwrap();
    connection.execute_batch(&fs::read_to_string(schema).unwrap()).unwrap();
    connection.set_prepared_statement_cache_capacity(64);
    connection
}

/// The processor time of this thread so far, which is the only one that works.
fn cpu_ns() -> u64 {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

fn write(connection: &mut Connection, floor: &mut Floor, args: &Args, messages: usize) {
    let mut left = messages;
    while left > 0 {
        let group = left.min(args.group);
        left -= group;
        match args.work {
            Work::Send => floor.send(connection, group),
            Work::Inbound => floor.receive(connection, group),
        }
    }
}

struct Floor {
    seq: i64,
    written: usize,
}

/// A stored message.
struct Stored {
    pk: i64,
    id: String,
    chat: String,
}

impl Floor {
    fn receive(&mut self, connection: &mut Connection, group: usize) {
        let tx = connection.transaction().unwrap();
        for _ in 0..group {
            let stored = self.insert(&tx, false);
            self.append(&tx, "message", &message_json(&stored, false));
        }
        finish(&tx, self.seq, group, 0);
        tx.commit().unwrap();
    }

    fn send(&mut self, connection: &mut Connection, group: usize) {
        let tx = connection.transaction().unwrap();
        let mut sent = Vec::with_capacity(group);
        for _ in 0..group {
            let stored = self.insert(&tx, true);
            execute(
                &tx,
                "INSERT INTO outbox (device_id, message_pk, chat_id) VALUES (?1, ?2, ?3)",
                params![DEVICE, stored.pk, stored.chat],
            );
            self.append(&tx, "message:created", &message_json(&stored, true));
            self.append(&tx, "message:status", &status_json(&stored, "queued"));
            sent.push(stored);
        }
        finish(&tx, self.seq, 0, 0);
        tx.commit().unwrap();

        let tx = connection.transaction().unwrap();
        for stored in &sent {
            execute(
                &tx,
                "UPDATE outbox SET sending_since = ?1, attempts = attempts + 1 WHERE message_pk = ?2",
                params![NOW, stored.pk],
            );
            execute(
                &tx,
                "INSERT INTO departures (device_id, at, message_pk, chat_id, opens) VALUES (?1, ?2, ?3, ?4, 0)",
                params![DEVICE, NOW, stored.pk, stored.chat],
            );
            set_ack(&tx, stored.pk, 0, "sending");
            self.append(&tx, "message:status", &status_json(stored, "sending"));
        }
        finish(&tx, self.seq, 0, 0);
        tx.commit().unwrap();

        for (ack, status, name) in [(1, "sent", "SERVER"), (2, "delivered", "DEVICE"), (3, "read", "READ")] {
            let tx = connection.transaction().unwrap();
            for stored in &sent {
                self.acknowledge(&tx, stored, ack, status, name);
            }
            finish(&tx, self.seq, 0, if ack == 1 { sent.len() } else { 0 });
            tx.commit().unwrap();
        }
    }

    fn acknowledge(&mut self, tx: &Transaction<'_>, stored: &Stored, ack: i64, status: &str, name: &str) {
        if ack > 1 {
            execute(
                tx,
                "INSERT INTO receipts (message_pk, participant, ack, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (message_pk, participant) DO UPDATE SET ack = excluded.ack, at = excluded.at",
                params![stored.pk, stored.chat, ack, NOW],
            );
        } else {
            execute(tx, "DELETE FROM outbox WHERE message_pk = ?1", params![stored.pk]);
        }
        set_ack(tx, stored.pk, ack, status);
        let (id, chat) = (&stored.id, &stored.chat);
        self.append(
            tx,
            "message:ack",
            &format!(r#""messageId":"{id}","chatId":"{chat}","ack":{ack},"ackName":"{name}""#),
        );
        self.append(tx, "message:status", &status_json(stored, status));
        if ack == 3 {
            self.append(
                tx,
                "message:read",
                &format!(r#""chatId":"{chat}","messageIds":["{id}"],"readBy":"{chat}""#),
            );
        }
    }

    fn insert(&mut self, tx: &Transaction<'_>, from_me: bool) -> Stored {
        let number = self.written;
        self.written += 1;
        let chat = format!("15550100{:03}@c.us", number % CHATS);
        let id = format!("{from_me}_{chat}_BENCH{number:015}");
        let (from, to) = if from_me { (ME, chat.as_str()) } else { (chat.as_str(), ME) };
        let (ack, status) = if from_me { (0, "queued") } else { (2, "delivered") };
        execute(
            tx,
            "INSERT INTO messages (device_id, id, chat_id, from_jid, to_jid, from_me, body, type, at, stored_at, ack, status, unread, notify_name)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'chat', ?8, ?8, ?9, ?10, ?11, ?12)",
            params![DEVICE, id, chat, from, to, from_me, BODY, NOW, ack, status, !from_me, chat],
        );
        let pk = tx.last_insert_rowid();
        execute(
            tx,
            "INSERT INTO chats (device_id, id, unread, last_message_pk, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (device_id, id) DO UPDATE SET unread = unread + excluded.unread,
                 last_message_pk = excluded.last_message_pk, at = excluded.at",
            params![DEVICE, chat, !from_me, pk, NOW],
        );
        Stored { pk, id, chat }
    }

    fn append(&mut self, tx: &Transaction<'_>, kind: &str, body: &str) {
        self.seq += 1;
        let payload = format!(r#"{{"deviceId":"{DEVICE}","timestamp":{NOW},"seq":{},{body}}}"#, self.seq);
        execute(
            tx,
            "INSERT INTO events (device_id, seq, type, at, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![DEVICE, self.seq, kind, NOW, payload],
        );
    }
}

/// The rows that a group shares: the log's head and the counters.
fn finish(tx: &Transaction<'_>, seq: i64, received: usize, sent: usize) {
    let count = |messages: usize| i64::try_from(messages).unwrap();
    let (received, sent) = (count(received), count(sent));
    execute(
        tx,
        "INSERT INTO log_heads (device_id, last_seq) VALUES (?1, ?2) ON CONFLICT (device_id) DO UPDATE SET last_seq = excluded.last_seq",
        params![DEVICE, seq],
    );
    if received + sent == 0 {
        return;
    }
    execute(
        tx,
        "INSERT INTO activity (device_id, hour, received, sent) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (device_id, hour) DO UPDATE SET received = received + excluded.received, sent = sent + excluded.sent",
        params![DEVICE, NOW - NOW % HOUR_MS, received, sent],
    );
    execute(
        tx,
        "INSERT INTO totals (device_id, received, sent, last_activity) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (device_id) DO UPDATE SET received = received + excluded.received, sent = sent + excluded.sent,
             last_activity = excluded.last_activity",
        params![DEVICE, received, sent, NOW],
    );
}

fn set_ack(tx: &Transaction<'_>, pk: i64, ack: i64, status: &str) {
    execute(tx, "UPDATE messages SET ack = ?1, status = ?2 WHERE pk = ?3", params![ack, status, pk]);
}

fn execute(tx: &Transaction<'_>, sql: &str, values: &[&dyn rusqlite::ToSql]) {
    tx.prepare_cached(sql).unwrap().execute(values).unwrap();
}

fn message_json(stored: &Stored, from_me: bool) -> String {
    let Stored { id, chat, .. } = stored;
    let (from, to) = if from_me { (ME, chat.as_str()) } else { (chat.as_str(), ME) };
    format!(
        r#""message":{{"id":"{id}","chatId":"{chat}","from":"{from}","to":"{to}","fromMe":{from_me},"body":"{BODY}","type":"chat","timestamp":{NOW},"ack":0,"hasMedia":false,"isForwarded":false,"isStarred":false,"isEdited":false,"notifyName":"15550100002","mentionedIds":[],"reactions":[]}}"#
    )
}

fn status_json(stored: &Stored, status: &str) -> String {
    format!(r#""messageId":"{}","chatId":"{}","status":"{status}""#, stored.id, stored.chat)
}
