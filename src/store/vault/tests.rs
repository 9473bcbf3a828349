//! The vault's guarantees: atomicity, order, deadlines, and confidentiality without the key.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::domain::clock::{Millis, Random};
use crate::domain::ids::DeviceId;
use crate::domain::vault::VaultBatch;
use crate::store::{
    OpenError, Store, StoreError, StoreOptions, Synchronous, VaultKey, WriterObserver, database_file,
};

struct Unobserved;

impl WriterObserver for Unobserved {
    fn committed(&self, _writes: usize, _seconds: f64) {}
    fn appended(&self, _events: usize) {}
    fn refused(&self) {}
}

/// Returns different bytes each time.
#[derive(Default)]
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

fn key(byte: u8) -> Option<VaultKey> {
    Some(VaultKey::new(&[byte; 32], Arc::new(Counting::default())))
}

fn try_open(dir: &Path, vault_key: Option<VaultKey>) -> Result<Store, OpenError> {
    let options = StoreOptions { synchronous: Synchronous::Full, write_queue: 64, readers: 1, vault_key };
    Store::open(dir, options, Arc::new(Unobserved))
}

fn open(dir: &Path, vault_key: Option<VaultKey>) -> Store {
    try_open(dir, vault_key).unwrap()
}

fn shop() -> DeviceId {
    "shop".parse().unwrap()
}

async fn apply(store: &Store, device: &DeviceId, batch: VaultBatch) -> Result<(), StoreError> {
    store.vault_update(device, move |_| Ok(batch.clone())).await
}

async fn put(store: &Store, space: &str, key: &str, value: &[u8]) {
    let mut batch = VaultBatch::new();
    batch.put(space, key, value);
    apply(store, &shop(), batch).await.unwrap();
}

async fn get(store: &Store, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let values = store.vault_get_many(&shop(), space, vec![key.to_owned()]).await?;
    Ok(values.into_iter().next().flatten())
}

async fn keys(store: &Store, space: &str, prefix: &str) -> Vec<String> {
    let all = store.vault_list(&shop(), space, prefix).await.unwrap();
    all.into_iter().map(|(key, _)| key).collect()
}

/// All bytes of the database, including the write-ahead log.
fn on_disk(dir: &Path) -> Vec<u8> {
    let file = database_file(dir);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend(std::fs::read(file.with_extension("db-wal")).unwrap_or_default());
    bytes
}

/// The stored values and the key's proof.
fn rows(dir: &Path) -> Vec<Vec<u8>> {
    let database = rusqlite::Connection::open(database_file(dir)).unwrap();
    let mut rows =
        database.prepare("SELECT value FROM vault UNION ALL SELECT proof FROM vault_seal").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[tokio::test]
async fn prefix_lists_its_keys_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), None);
    for key in ["b", "a|2", "a|10", "a", "a}", "\u{10FFFF}x", "\u{10FFFF}"] {
        put(&store, "s", key, b"v").await;
    }
    put(&store, "other", "a|3", b"v").await;

    assert_eq!(keys(&store, "s", "a|").await, ["a|10", "a|2"]);
    assert_eq!(keys(&store, "s", "\u{10FFFF}").await, ["\u{10FFFF}", "\u{10FFFF}x"]);
    assert_eq!(keys(&store, "s", "").await.len(), 7);
    let last = store.vault_last_key(&shop(), "s", "a|").await.unwrap();
    assert_eq!(last.as_deref(), Some("a|2"));
    assert_eq!(store.vault_last_key(&shop(), "s", "c").await.unwrap(), None);
}

#[tokio::test]
async fn vault_batch_applies_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), None);
    put(&store, "s", "a|1", b"old").await;
    let mut batch = VaultBatch::new();
    batch.put("s", "a|2", *b"gone");
    batch.remove_prefix("s", "a|");
    batch.put("s", "a|3", *b"stays");
    batch.put("s", "b", *b"gone");
    batch.remove("s", "b");
    apply(&store, &shop(), batch).await.unwrap();
    assert_eq!(keys(&store, "s", "").await, ["a|3"]);
}

#[tokio::test]
async fn failed_vault_change_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), key(1));
    put(&store, "s", "a", b"as it was").await;
    // No row can have this device id, so the last change fails in the database itself.
    let failed = store
        .write_patiently(|tx| {
            tx.vault_change(&store_seal(), &shop(), put_change("a", b"other"))?;
            tx.run("INSERT INTO vault (device_id, space, key, value) VALUES (NULL, 's', 'b', x'')", [])?;
            Ok::<_, StoreError>(())
        })
        .await;
    assert!(matches!(failed, Err(StoreError::Database(_))), "{failed:?}");
    let refused = store.vault_update(&shop(), |_| Err(StoreError::Unreadable("wish"))).await;
    assert!(refused.is_err());
    assert_eq!(get(&store, "s", "a").await.unwrap().as_deref(), Some(&b"as it was"[..]));
}

fn store_seal() -> super::Seal {
    super::Seal::new(key(1))
}

fn put_change(key: &str, value: &[u8]) -> crate::domain::vault::VaultChange {
    let mut batch = VaultBatch::new();
    batch.put("s", key, value);
    batch.into_changes().remove(0)
}

#[tokio::test]
async fn vault_update_sees_earlier_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), key(1));
    put(&store, "s", "n", &[0]).await;
    let count = || async {
        let device = shop();
        let update = |rows: &super::VaultRows<'_>| {
            let n = rows.get("s", "n")?.unwrap()[0];
            let mut batch = VaultBatch::new();
            batch.put("s", "n", [n + 1]);
            Ok::<_, StoreError>(batch)
        };
        store.vault_update(&device, update).await
    };
    let all = futures_util::future::join_all((0..50).map(|_| count())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(get(&store, "s", "n").await.unwrap(), Some(vec![50]));
}

#[tokio::test]
async fn pruning_removes_expired_entries_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), None);
    let mut batch = VaultBatch::new();
    // More rows than one write prunes.
    for n in 0..1_500 {
        batch.put_until("s", format!("old-{n}"), [0], Some(Millis(n)));
    }
    batch.put_until("s", "at the moment", [0], Some(Millis(1_500)));
    batch.put("s", "for ever", [0]);
    batch.put_until("other", "old", [0], Some(Millis(1)));
    apply(&store, &shop(), batch).await.unwrap();
    let other: DeviceId = "other-shop".parse().unwrap();
    let mut batch = VaultBatch::new();
    batch.put_until("s", "old", [0], Some(Millis(1)));
    apply(&store, &other, batch).await.unwrap();
    put(&store, "s", "old-3", b"renewed without a deadline").await;

    assert_eq!(store.vault_prune(&shop(), "s", Millis(1_500)).await.unwrap(), 1_499);
    assert_eq!(keys(&store, "s", "").await, ["at the moment", "for ever", "old-3"]);
    assert_eq!(keys(&store, "other", "").await, ["old"]);
    assert_eq!(store.vault_list(&other, "s", "").await.unwrap().len(), 1);
}

#[tokio::test]
async fn sealed_values_are_unreadable_on_disk() {
    let (plain, sealed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, key) in [(&plain, None), (&sealed, key(1))] {
        let store = open(dir.path(), key.clone());
        put(&store, "s", "k", b"a very secret ratchet").await;
        store.close().await;
        drop(store);
        let store = open(dir.path(), key);
        assert_eq!(get(&store, "s", "k").await.unwrap().as_deref(), Some(&b"a very secret ratchet"[..]));
    }
    assert!(holds(&on_disk(plain.path()), b"a very secret ratchet"));
    assert!(!holds(&on_disk(sealed.path()), b"a very secret ratchet"));
}

#[tokio::test]
async fn unsealed_values_are_read_and_sealed_on_rewrite() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), None);
    put(&store, "s", "k", b"written in the clear").await;
    store.close().await;
    drop(store);

    let store = open(dir.path(), key(1));
    assert_eq!(get(&store, "s", "k").await.unwrap().as_deref(), Some(&b"written in the clear"[..]));
    assert_eq!(sealed_rows(&store).await, 0);
    put(&store, "s", "k", b"written again").await;
    assert_eq!(get(&store, "s", "k").await.unwrap().as_deref(), Some(&b"written again"[..]));
    assert_eq!(sealed_rows(&store).await, 1);
}

async fn sealed_rows(store: &Store) -> i64 {
    let count = store.read(|reader| reader.number("SELECT count(*) FROM vault WHERE sealed = 1", [])).await;
    count.unwrap_or_else(|error: StoreError| panic!("{error}"))
}

#[tokio::test]
async fn wrong_or_missing_key_opens_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), key(1));
    put(&store, "s", "k", b"v").await;
    store.close().await;
    drop(store);
    let before = rows(dir.path());
    assert_eq!(before.len(), 2);

    let missing = try_open(dir.path(), None).err().unwrap().to_string();
    assert!(missing.contains("store.vault_key is not set"), "{missing}");
    let wrong = try_open(dir.path(), key(2)).err().unwrap().to_string();
    assert!(wrong.contains("store.vault_key is not the key"), "{wrong}");
    for sentence in [missing, wrong] {
        assert!(sentence.contains("WHARF__STORE__VAULT_KEY") && !sentence.contains('\n'), "{sentence}");
    }
    assert_eq!(rows(dir.path()), before);
    let store = open(dir.path(), key(1));
    assert_eq!(get(&store, "s", "k").await.unwrap(), Some(b"v".to_vec()));
}

#[tokio::test]
async fn sealed_value_opens_in_its_context_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), key(1));
    for (space, key) in [("s", "mine"), ("s", "yours"), ("t", "mine")] {
        put(&store, space, key, format!("{space} {key}").as_bytes()).await;
    }
    let swap = |tx: &crate::store::Tx<'_>| {
        tx.run(
            "UPDATE vault SET value = (SELECT value FROM vault WHERE space = 's' AND key = 'mine')
             WHERE NOT (space = 's' AND key = 'mine')",
            [],
        )
    };
    store.write_patiently(swap).await.unwrap();
    assert_eq!(get(&store, "s", "mine").await.unwrap(), Some(b"s mine".to_vec()));
    for (space, key) in [("s", "yours"), ("t", "mine")] {
        let read = get(&store, space, key).await;
        assert!(matches!(read, Err(StoreError::Unreadable(_))), "{space} {key}: {read:?}");
    }
}

#[test]
fn vault_debug_output_hides_values() {
    let mut batch = VaultBatch::new();
    batch.put("s", "15550100001@s.whatsapp.net", *b"secret");
    batch.remove("s", "15550100001@s.whatsapp.net");
    batch.remove_prefix("s", "15550100001");
    let shown = format!("{batch:?} {:?}", key(7));
    assert!(!shown.contains("1555") && !shown.contains("115"), "{shown}");
}
