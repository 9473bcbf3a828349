//! Several callers at once, and what a message costs.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use wacore::store::traits::{
    LidPnMappingEntry, MsgSecretEntry, MsgSecretStore, PendingInboundKey, PendingInboundRow, ProtocolStore,
    SignalStore,
};

use super::{Fixture, LibraryClock};
use crate::engine::MemoryVault;
use crate::engine::whatsapp::storage::VaultBackend;

fn mapping(lid: &str, number: &str) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: number.to_owned(),
        created_at: 1,
        updated_at: 1,
        learning_source: "usync".to_owned(),
    }
}

#[tokio::test]
async fn a_token_that_is_received_and_given_at_once_keeps_both_halves() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    for round in 0..20 {
        let jid = format!("{round}@lid");
        let given = backend.touch_tc_token_sender_timestamp(&jid, 500);
        let received = backend.store_received_tc_token(&jid, &[1, 2, 3], 400);
        let (given, received) = join(given, received).await;
        given.unwrap();
        received.unwrap();
        let entry = backend.get_tc_token(&jid).await.unwrap().unwrap();
        assert_eq!((entry.token, entry.sender_timestamp), (vec![1, 2, 3], Some(500)));
    }
}

#[tokio::test]
async fn a_sent_message_is_taken_by_one_of_many() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    backend.store_sent_message("chat@g.us", "A1", b"payload").await.unwrap();
    let takes = (0..10).map(|_| backend.take_sent_message("chat@g.us", "A1"));
    let taken = join_all(takes).await.into_iter().filter_map(Result::unwrap).count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn secrets_told_at_once_keep_the_latest_deadline() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    let secret = |expires_at| MsgSecretEntry {
        chat: "c".into(),
        sender: "s".into(),
        msg_id: "A1".into(),
        secret: [1; 32],
        expires_at,
        message_ts: 0,
    };
    let puts = (1..=10).map(|n| backend.put_msg_secrets(vec![secret(n * 100)]));
    assert!(join_all(puts).await.iter().all(Result::is_ok));
    assert_eq!(backend.delete_expired_msg_secrets(999).await.unwrap(), 0);
    assert_eq!(backend.delete_expired_msg_secrets(1_000).await.unwrap(), 1);
}

#[tokio::test]
async fn a_number_stays_with_the_lid_that_had_it_last() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    backend.put_lid_mapping(&mapping("old", "15550100001")).await.unwrap();
    backend.put_lid_mapping(&mapping("new", "15550100001")).await.unwrap();
    backend.put_lid_mapping(&mapping("old", "15550100002")).await.unwrap();
    let owner = backend.get_pn_mapping("15550100001").await.unwrap();
    assert_eq!(owner.unwrap().lid, "new");
}

#[tokio::test]
async fn a_message_in_costs_three_commits_and_many_at_once_share_them() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    let before = fixture.commits();
    take_in(&fixture, 0).await;
    assert_eq!(fixture.commits() - before, 3);

    let before = fixture.commits();
    join_all((1..=50).map(|n| take_in(&fixture, n))).await;
    assert!(fixture.commits() - before < 50, "{} commits", fixture.commits() - before);
    assert!(backend.has_session("50@s.whatsapp.net").await.unwrap());
}

/// What the library writes for one message that comes in while connected.
async fn take_in(fixture: &Fixture, n: u32) {
    let backend = &fixture.backend;
    let (chat, id) = (format!("{n}@s.whatsapp.net"), format!("A{n}"));
    let row = PendingInboundRow { chat: &chat, sender: &chat, id: &id, message: b"decrypted" };
    backend.store_pending_inbound_batch(&[row]).await.unwrap();
    let key = PendingInboundKey { chat: &chat, sender: &chat, id: &id };
    backend.delete_pending_inbound_batch(&[key]).await.unwrap();
    let session = (Arc::from(chat.as_str()), Bytes::from_static(b"ratchet"));
    backend.put_sessions_batch(&[session]).await.unwrap();
}

#[tokio::test]
async fn what_was_decrypted_is_stored_before_the_ratchets_that_decrypted_it() {
    let vault = Arc::new(MemoryVault::default());
    let backend = VaultBackend::new(vault.clone(), Arc::new(LibraryClock));
    let session = [(Arc::from("1@s.whatsapp.net"), Bytes::from_static(b"ratchet"))];
    let row = PendingInboundRow { chat: "1", sender: "1", id: "A1", message: b"decrypted" };
    let flushed = backend.put_sessions_batch(&session);
    // Decrypted, and on its way to the store, when the ratchets are flushed.
    let stored = async {
        assert!(vault.0.lock().unwrap().is_empty());
        backend.store_pending_inbound_batch(&[row]).await
    };
    let (flushed, stored) = join(flushed, stored).await;
    flushed.unwrap();
    stored.unwrap();
    assert_eq!(vault.0.lock().unwrap().len(), 2);
}

/// Not a promise: run it with `--release --ignored --nocapture` and look.
#[tokio::test]
#[ignore = "measures"]
async fn measure() {
    let fixture = Fixture::new();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
    };
    let before = resident();
    let many: Vec<_> =
        (0..1_000).map(|n| super::backend_of(fixture.store(), &format!("device-{n}"))).collect();
    println!("1,000 backends: {} kB; each is {} bytes", resident() - before, size_of_val(&many[0]));

    let keys: Vec<_> = (1..=812_u32).map(|id| (id, Bytes::from(vec![7; 80]))).collect();
    let started = wacore::time::Instant::now();
    fixture.backend.store_prekeys_batch(&keys, false).await.unwrap();
    println!("812 prekeys: {:?}", started.elapsed());
    let started = wacore::time::Instant::now();
    join_all(many.iter().take(50).map(|backend| backend.store_prekeys_batch(&keys, false))).await;
    println!("50 times 812 prekeys at once: {:?}", started.elapsed());
    println!("resident after that: {} kB more", resident() - before);
    let started = wacore::time::Instant::now();
    for n in 0..100 {
        take_in(&fixture, n).await;
    }
    println!("a message in, alone: {:?}", started.elapsed() / 100);
}
