//! Concurrent callers, and the number of commits for a message.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{FutureExt as _, join, join_all};
use wacore::store::traits::{
    LidPnMappingEntry, MsgSecretEntry, MsgSecretStore, PendingInboundKey, PendingInboundRow, ProtocolStore,
    SignalStore,
};

use super::Fixture;

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
async fn concurrent_token_updates_keep_both_halves() {
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
async fn sent_message_is_taken_once() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    backend.store_sent_message("chat@g.us", "A1", b"payload").await.unwrap();
    let takes = (0..10).map(|_| backend.take_sent_message("chat@g.us", "A1"));
    let taken = join_all(takes).await.into_iter().filter_map(Result::unwrap).count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn concurrent_secrets_keep_latest_expiry() {
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
async fn number_belongs_to_last_lid() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    backend.put_lid_mapping(&mapping("old", "15550100001")).await.unwrap();
    backend.put_lid_mapping(&mapping("new", "15550100001")).await.unwrap();
    backend.put_lid_mapping(&mapping("old", "15550100002")).await.unwrap();
    let owner = backend.get_pn_mapping("15550100001").await.unwrap();
    assert_eq!(owner.unwrap().lid, "new");
}

#[tokio::test]
async fn message_in_costs_three_commits_shared_by_many() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    let before = fixture.commits();
    ingest(&fixture, 0).await;
    assert_eq!(fixture.commits() - before, 3);

    let before = fixture.commits();
    join_all((1..=50).map(|n| ingest(&fixture, n))).await;
    assert!(fixture.commits() - before < 50, "{} commits", fixture.commits() - before);
    assert!(backend.has_session("50@s.whatsapp.net").await.unwrap());
}

/// The library's writes for one message received while connected.
async fn ingest(fixture: &Fixture, n: u32) {
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
async fn only_missing_duplicate_is_requested_again() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    ingest(&fixture, 1).await;
    let chat = "1@s.whatsapp.net";
    assert!(backend.get_pending_inbound(chat, chat, "A1").await.unwrap().is_none());
    for _ in 0..2 {
        backend.get_pending_inbound(chat, chat, "A2").await.unwrap_err();
    }
    let missing = backend.missing().await;
    assert_eq!((missing.chat.as_str(), missing.sender.as_str(), missing.id.as_str()), (chat, chat, "A2"));
    assert!(backend.missing().now_or_never().is_none(), "requested once");
}

#[tokio::test]
async fn history_announcement_is_not_stored() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    let chat = "1@s.whatsapp.net";
    // `protocolMessage { type: HISTORY_SYNC_NOTIFICATION }`, the rest that the library passes on.
    let left = [0x62, 0x02, 0x10, 0x05];
    backend.store_pending_inbound(chat, chat, "A1", &left).await.unwrap();
    backend.get_pending_inbound(chat, chat, "A1").await.unwrap_err();
    assert_eq!(backend.missing().await.id, "A1");
}

#[tokio::test]
async fn ingested_record_expires() {
    let fixture = Fixture::new();
    ingest(&fixture, 1).await;
    let chat = "1@s.whatsapp.net";
    let later = wacore::time::now_secs() + 1_000;
    fixture.backend.delete_expired_pending_inbound(later).await.unwrap();
    fixture.backend.get_pending_inbound(chat, chat, "A1").await.unwrap_err();
}
