//! Pages, counts and searches of messages: their results, and that their cost does not grow with the stored messages.

use serde_json::json;
use tempfile::TempDir;

use super::messages::{NewMessage, PageFrom, PagePosition, Pk};
use super::outbox::NewOutboxRow;
use super::tx::steps;
use super::{Reader, Store, StoreError, StoreOptions, Synchronous, Tx, WriterObserver};
use crate::domain::ack::Status;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::message::{Message, MessageType};
use crate::domain::outbox::Priority;
use crate::domain::queries::{ChatQuery, SearchQuery};

struct NoObserver;

impl WriterObserver for NoObserver {
    fn committed(&self, _writes: usize, _seconds: f64) {}
    fn appended(&self, _events: usize) {}
    fn refused(&self) {}
}

fn open() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options =
        StoreOptions { synchronous: Synchronous::Normal, write_queue: 16, readers: 1, vault_key: None };
    (Store::open(dir.path(), options, std::sync::Arc::new(NoObserver)).unwrap(), dir)
}

fn shop() -> DeviceId {
    "shop".parse().unwrap()
}

fn anna() -> Jid {
    "15550100001@c.us".parse().unwrap()
}

/// Adds a message from Anna with this number, and returns its place.
fn insert(tx: &Tx<'_>, number: i64, at: i64, body: &str) -> Result<Pk, StoreError> {
    let chat = anna().to_string();
    let message: Message = serde_json::from_value(json!({
        "id": format!("false_{chat}_M{number}"), "chatId": chat, "from": chat, "to": "15550109999@c.us",
        "fromMe": false, "body": body, "type": "chat", "timestamp": Millis(at), "ack": 1, "hasMedia": false,
        "isForwarded": false, "isStarred": false, "isEdited": false, "notifyName": "Anna",
    }))
    .unwrap();
    let new = NewMessage {
        message: &message,
        status: Status::Delivered,
        stored_at: Millis(at),
        unread: false,
        temp_id: None,
    };
    let pk = tx.insert_message(&shop(), &new)?.unwrap();
    tx.touch_chat(&shop(), &anna(), pk, Millis(at), false)?;
    Ok(pk)
}

fn query(words: &str) -> SearchQuery {
    SearchQuery { words: words.to_owned(), chat: None, kind: None, limit: 3 }
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

#[tokio::test]
async fn message_count_follows_hidden_moved_and_deleted_messages() {
    let (store, _dir) = open();
    let counts = store
        .write(|tx| {
            let mut counts = Vec::new();
            let mut count = |tx: &Tx<'_>, chat: &Jid| {
                counts.push(tx.message_count(&shop(), chat)?);
                Ok::<_, StoreError>(())
            };
            let pks: Vec<Pk> =
                (0..5).map(|n| insert(tx, n, n * 1_000, "Hello")).collect::<Result<_, StoreError>>()?;
            count(tx, &anna())?;
            tx.hide_message(pks[0])?;
            tx.hide_message(pks[0])?;
            count(tx, &anna())?;
            let berta: Jid = "15550100002@c.us".parse().unwrap();
            tx.run(
                "UPDATE messages SET chat_id = ?2 WHERE pk <= ?1",
                rusqlite::params![pks[1], berta.to_string()],
            )?;
            count(tx, &anna())?;
            count(tx, &berta)?;
            tx.run("DELETE FROM messages WHERE pk IN (?1, ?2)", [pks[0], pks[2]])?;
            count(tx, &anna())?;
            count(tx, &berta)?;
            Ok::<_, StoreError>(counts)
        })
        .await
        .unwrap();
    assert_eq!(counts, [5, 4, 3, 1, 2, 1]);
}

#[tokio::test]
async fn search_returns_newest_by_time_and_counts_to_a_thousand() {
    let (store, _dir) = open();
    let (first, renamed, none) = store
        .write(|tx| {
            for number in 0..1_000 {
                insert(tx, number, number * 1_000, &format!("price {number}"))?;
            }
            let exact = tx.search(&shop(), &query("price"))?;
            assert_eq!((exact.total, exact.total_is_lower_bound), (1_000, false));
            // It is stored last and is the oldest but one.
            insert(tx, 1_000, 1_500, "price of history")?;
            let found = tx.search(&shop(), &query("pri"))?;
            assert_eq!((found.total, found.total_is_lower_bound), (1_000, true));
            assert_eq!(bodies(&found.messages), ["price 999", "price 998", "price 997"]);
            let history = tx.search(&shop(), &query("history"))?;
            tx.edit_message(1_001, "offer", Millis(2_000))?;
            let renamed = tx.search(&shop(), &query("offer"))?;
            let none = tx.search(&shop(), &query("history"))?;
            Ok::<_, StoreError>((history, renamed, none))
        })
        .await
        .unwrap();
    assert_eq!(bodies(&first.messages), ["price of history"]);
    assert_eq!((renamed.total, none.total), (1, 0));
}

#[tokio::test]
async fn search_completes_last_word_of_any_script() {
    let (store, _dir) = open();
    let totals = store
        .write(|tx| {
            for (number, body) in ["Müller zahlt", "mulle", "Счёт 12", "счета", "宛先変更"].iter().enumerate()
            {
                let number = i64::try_from(number).unwrap();
                insert(tx, number, number * 1_000, body)?;
            }
            // More words begin with `w` than replace the last word of a query.
            for number in 100..200 {
                insert(tx, number, number * 1_000, &format!("w{number}"))?;
            }
            let total = |words| Ok::<_, StoreError>(tx.search(&shop(), &query(words))?.total);
            ["MULL", "müll", "Muller zah", "zahlt mull", "сче", "Счёт", "宛先", "w", "w10", "w1000", "x"]
                .into_iter()
                .map(total)
                .collect::<Result<Vec<_>, _>>()
        })
        .await
        .unwrap();
    assert_eq!(totals, [2, 2, 1, 1, 1, 1, 1, 100, 10, 0, 0]);
}

#[tokio::test]
async fn search_keeps_to_device_chat_and_type() {
    let (store, _dir) = open();
    let totals = store
        .write(|tx| {
            insert(tx, 1, 1_000, "price")?;
            let total = |query: SearchQuery, device: &str| {
                Ok::<_, StoreError>(tx.search(&device.parse().unwrap(), &query)?.total)
            };
            let in_chat = |chat: &str| SearchQuery { chat: Some(chat.parse().unwrap()), ..query("price") };
            let of_kind = |kind| SearchQuery { kind: Some(kind), ..query("price") };
            Ok::<_, StoreError>([
                total(query("price"), "shop")?,
                total(query("price"), "shop-2")?,
                total(in_chat("15550100001@c.us"), "shop")?,
                total(in_chat("15550100002@c.us"), "shop")?,
                total(of_kind(MessageType::Chat), "shop")?,
                total(of_kind(MessageType::Image), "shop")?,
            ])
        })
        .await
        .unwrap();
    assert_eq!(totals, [1, 0, 1, 0, 1, 0]);
}

#[tokio::test]
async fn cost_of_reads_is_independent_of_stored_messages() {
    let (store, _dir) = open();
    let fill = |from: i64, to: i64, store: Store| async move {
        store
            .write(move |tx| {
                for number in from..to {
                    let pk = insert(tx, number, number * 1_000, "price of the day")?;
                    // A cleared chat leaves hidden messages.
                    if number % 3 == 0 {
                        tx.hide_message(pk)?;
                    }
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    };
    fill(0, 2_000, store.clone()).await;
    let before = store.read(|store| costs(store, 1_000)).await.unwrap();
    fill(2_000, 8_000, store.clone()).await;
    let after = store.read(|store| costs(store, 5_000)).await.unwrap();
    for ((name, before), (_, after)) in before.into_iter().zip(after) {
        assert!(
            before > 0 && f64::from(after) <= f64::from(before) * 1.1,
            "{name}: {before} steps, then {after}"
        );
    }
}

#[tokio::test]
async fn outbox_length_follows_enqueued_and_removed_messages() {
    let (store, _dir) = open();
    let lengths = store
        .write(|tx| {
            let mut lengths = vec![tx.outbox_len(&shop())?];
            for number in 0..3 {
                let pk = insert(tx, number, number, "Hello")?;
                let row = NewOutboxRow {
                    message_pk: pk,
                    chat: &anna(),
                    priority: Priority::Normal,
                    due: Millis(0),
                };
                tx.enqueue(&shop(), &row)?;
            }
            lengths.push(tx.outbox_len(&shop())?);
            tx.run("DELETE FROM messages WHERE pk = 1", [])?;
            lengths.push(tx.outbox_len(&shop())?);
            assert_eq!(tx.outbox_lengths()?, [(shop(), 2)]);
            tx.run("DELETE FROM outbox", [])?;
            lengths.push(tx.outbox_len(&shop())?);
            Ok::<_, StoreError>(lengths)
        })
        .await
        .unwrap();
    assert_eq!(lengths, [0, 3, 2, 0]);
}

/// The steps of each read; the pages lie around this message.
fn costs(store: &Reader<'_>, middle: i64) -> Result<Vec<(&'static str, i32)>, StoreError> {
    let place = PagePosition { at: Millis(middle * 1_000), pk: middle + 1 };
    let mut costs = Vec::new();
    let mut count = |name| costs.push((name, steps::take()));
    steps::take();
    store.page(&shop(), &anna(), PageFrom::Newest, 50)?;
    count("newest page");
    store.page(&shop(), &anna(), PageFrom::Before(place), 50)?;
    count("page before a message");
    store.page(&shop(), &anna(), PageFrom::After(place), 50)?;
    count("page after a message");
    store.message_count(&shop(), &anna())?;
    count("number of messages");
    store.search(&shop(), &query("price"))?;
    count("search");
    let chats = ChatQuery { limit: 50, ..ChatQuery::default() };
    store.chats(&shop(), &chats)?;
    count("chat list");
    Ok(costs)
}
