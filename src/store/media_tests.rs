//! The bytes of a device's files: they equal the sum over its files after any writes, and reading them costs the same
//! for any number of files.

use proptest::prelude::*;
use rusqlite::{Connection, params};
use serde_json::json;
use tempfile::TempDir;

use super::media::BYTES_OF_DEVICE;
use super::messages::{NewMessage, Pk};
use super::open::{Synchronous, database_file, writer};
use super::tx::steps;
use super::{StoreError, Tx};
use crate::domain::ack::Status;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::media::{Media, MediaHash, MediaKind, StoredMedia};
use crate::domain::message::Message;

/// Numbers of the files in the random tests; the size of a file is a power of ten of its number.
const FILES: u8 = 5;

fn open() -> (Connection, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (writer(&database_file(dir.path()), Synchronous::Normal).unwrap(), dir)
}

fn device(number: u8) -> DeviceId {
    format!("shop-{number}").parse().unwrap()
}

fn file(number: u8, filesize: u64) -> StoredMedia {
    StoredMedia {
        hash: MediaHash::of_digest(&[number; 32]),
        mimetype: "image/png".into(),
        filesize,
        duration: None,
        dimensions: None,
        has_thumbnail: false,
    }
}

fn sized(number: u8) -> StoredMedia {
    file(number, 10_u64.pow(u32::from(number)))
}

fn message(number: i64, from_me: bool, file: StoredMedia) -> Message {
    let (chat, me) = ("15550100001@c.us", "15550109999@c.us");
    let (from, to) = if from_me { (me, chat) } else { (chat, me) };
    let mut message: Message = serde_json::from_value(json!({
        "id": format!("{from_me}_{chat}_M{number}"), "chatId": chat, "from": from, "to": to, "fromMe": from_me,
        "body": "", "type": "image", "timestamp": Millis(number), "ack": 1, "hasMedia": true, "isForwarded": false,
        "isStarred": false, "isEdited": false, "notifyName": "Anna",
    }))
    .unwrap();
    message.media =
        Some(Media { kind: MediaKind::Image, file, filename: None, available: true, links: None });
    message
}

fn insert(
    tx: &Tx<'_>,
    of: &DeviceId,
    number: i64,
    from_me: bool,
    file: StoredMedia,
) -> Result<Pk, StoreError> {
    let message = message(number, from_me, file);
    let stored_at = Millis(number);
    let new = NewMessage { message: &message, status: Status::Sent, stored_at, unread: false, temp_id: None };
    Ok(tx.insert_message(of, &new)?.unwrap())
}

/// The sum that the counter replaces.
fn summed(tx: &Tx<'_>, of: &DeviceId) -> i64 {
    tx.number(
        "SELECT sum(f.filesize) FROM media f WHERE f.hash IN (
             SELECT u.hash FROM uploads u WHERE u.device_id = ?1
             UNION SELECT m.media_hash FROM messages m
                 WHERE m.device_id = ?1 AND m.from_me = 1 AND m.media_hash IS NOT NULL)",
        [of.as_str()],
    )
    .unwrap()
}

#[derive(Debug, Clone)]
enum Write {
    Upload { device: u8, file: u8 },
    Message { device: u8, file: u8, from_me: bool },
    Replace { message: i64, file: u8 },
    Revoke(i64),
    Hide(i64),
    Merge(i64, i64),
    Detach(u8),
    PruneUploads(i64),
    PruneMessages(i64),
    ForgetUnused(u8),
    DeleteDevice(u8),
    PurgeSome(u8),
}

fn any_write() -> impl Strategy<Value = Write> {
    let (device, file, row) = (0..2_u8, 0..FILES, 1..60_i64);
    prop_oneof![
        6 => (device.clone(), file.clone()).prop_map(|(device, file)| Write::Upload { device, file }),
        9 => (device.clone(), file.clone(), any::<bool>())
            .prop_map(|(device, file, from_me)| Write::Message { device, file, from_me }),
        3 => (row.clone(), file.clone()).prop_map(|(message, file)| Write::Replace { message, file }),
        2 => row.clone().prop_map(Write::Revoke),
        2 => row.clone().prop_map(Write::Hide),
        2 => (row.clone(), row.clone()).prop_map(|(kept, second)| Write::Merge(kept, second)),
        1 => file.clone().prop_map(Write::Detach),
        1 => row.clone().prop_map(Write::PruneUploads),
        1 => row.prop_map(Write::PruneMessages),
        3 => file.prop_map(Write::ForgetUnused),
        1 => device.clone().prop_map(Write::DeleteDevice),
        1 => device.prop_map(Write::PurgeSome),
    ]
}

/// Applies the write with this number. A write of a message that does not exist changes nothing.
fn apply(tx: &Tx<'_>, number: i64, write: &Write) -> Result<(), StoreError> {
    match *write {
        Write::Upload { device: of, file } => {
            tx.put_media(&sized(file), Millis(number))?;
            let (id, hash) = (format!("upload-{number}"), sized(file).hash);
            tx.put_upload(&device(of), &id, &hash, None, Millis(number))?;
        }
        Write::Message { device: of, file, from_me } => {
            // Without a row the message is stored without its file.
            if file > 0 {
                tx.put_media(&sized(file), Millis(number))?;
            }
            insert(tx, &device(of), number, from_me, sized(file))?;
        }
        Write::Replace { message, file } => {
            tx.run(
                "UPDATE messages SET media_hash = (SELECT hash FROM media WHERE hash = ?2) WHERE pk = ?1",
                params![message, sized(file).hash.as_str()],
            )?;
        }
        Write::Revoke(pk) => {
            tx.revoke_message(pk)?;
        }
        Write::Hide(pk) => {
            tx.hide_message(pk)?;
        }
        Write::Merge(kept, second) => {
            let both = "SELECT count(*) FROM messages a JOIN messages b ON b.device_id = a.device_id
                 WHERE a.pk = ?1 AND b.pk = ?2 AND a.pk <> b.pk";
            if tx.number(both, params![kept, second])? == 1 {
                tx.merge_duplicates(kept, second)?;
            }
        }
        Write::Detach(file) => {
            tx.detach_media(&sized(file).hash, 3)?;
        }
        Write::PruneUploads(before) => {
            tx.prune_uploads(Millis(before), 3)?;
        }
        Write::PruneMessages(before) => {
            tx.prune_messages(Millis(before), 3)?;
        }
        Write::ForgetUnused(file) => {
            tx.forget_media(&sized(file).hash)?;
        }
        Write::DeleteDevice(of) => tx.delete_device(&device(of), false)?,
        Write::PurgeSome(of) => {
            tx.purge_some(&device(of), 4)?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn bytes_of_a_device_equal_the_sum_of_its_files(writes in prop::collection::vec(any_write(), 1..90)) {
        let (connection, _dir) = open();
        let transaction = connection.unchecked_transaction().unwrap();
        let tx = Tx::new(&transaction, None);
        for (number, write) in (1..).zip(&writes) {
            apply(&tx, number, write).unwrap();
            let mut stored = Vec::new();
            for of in [device(0), device(1)] {
                let sum = summed(&tx, &of);
                let bytes = tx.media_bytes_of_device(&of, None).unwrap();
                prop_assert_eq!(bytes, u64::try_from(sum).unwrap(), "after {:?}", write);
                if sum > 0 {
                    stored.push(of);
                }
            }
            let rows = tx.number("SELECT count(*) FROM device_file_sizes", []).unwrap();
            prop_assert_eq!(usize::try_from(rows).unwrap(), stored.len(), "a device without files has no row");
        }
    }
}

#[test]
fn one_file_is_left_out_of_the_bytes_of_a_device() {
    let (connection, _dir) = open();
    let tx = Tx::new(&connection, None);
    for number in 1..=3 {
        tx.put_media(&sized(number), Millis(1)).unwrap();
        tx.put_upload(&device(0), &format!("u{number}"), &sized(number).hash, None, Millis(1)).unwrap();
    }
    let without = |number| tx.media_bytes_of_device(&device(0), Some(&sized(number).hash)).unwrap();
    assert_eq!([without(1), without(2), without(4)], [1_100, 1_010, 1_110]);
    assert_eq!(tx.media_bytes_of_device(&device(1), Some(&sized(1).hash)).unwrap(), 0);
}

#[test]
fn quota_check_reads_one_row_for_any_number_of_files() {
    let (connection, _dir) = open();
    let tx = Tx::new(&connection, None);
    let mut costs = Vec::new();
    for number in 1..=200 {
        let stored = file(number, 10);
        tx.put_media(&stored, Millis(1)).unwrap();
        tx.put_upload(&device(0), &format!("u{number}"), &stored.hash, None, Millis(1)).unwrap();
        insert(&tx, &device(0), i64::from(number), true, stored).unwrap();
        steps::take();
        assert_eq!(
            tx.media_bytes_of_device(&device(0), Some(&file(1, 10).hash)).unwrap(),
            u64::from(number - 1) * 10
        );
        costs.push(steps::take());
    }
    assert!(costs[0] > 0 && costs.iter().all(|steps| *steps == costs[0]), "{costs:?}");

    let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {BYTES_OF_DEVICE}")).unwrap();
    let lines = plan.query_map(["shop-0", ""], |row| row.get::<_, String>(3)).unwrap();
    let mut lines: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
    lines.retain(|line| line.contains("SEARCH") || line.contains("SCAN"));
    assert_eq!(
        lines,
        ["SEARCH s USING PRIMARY KEY (device_id=?)", "SEARCH f USING PRIMARY KEY (device_id=? AND hash=?)"]
    );
}
