//! Device conversations stay complete while their chats are deleted or merged.

use std::sync::Arc;

use tempfile::TempDir;

use super::chat_receipt_ranges::ReceiptOwner;
use super::inbox_workflow::InboxAuthor;
use super::{Store, StoreError, StoreOptions, Synchronous, WriterObserver};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::operator_chat::assignment::{ConversationState, InboxStatus};
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::message::{ChatMessageKind, MessageDraft};
use crate::domain::operator_chat::note::InternalNote;
use crate::domain::operator_chat::receipts::ReceiptLevel;

const NOW: Millis = Millis(1_795_341_600_000);

struct NoObserver;

impl WriterObserver for NoObserver {
    fn committed(&self, _writes: usize, _seconds: f64) {}
    fn appended(&self, _events: usize) {}
    fn refused(&self) {}
}

fn open() -> (Store, TempDir) {
    open_in(tempfile::tempdir().unwrap())
}

fn open_in(dir: TempDir) -> (Store, TempDir) {
    let options =
        StoreOptions { synchronous: Synchronous::Normal, write_queue: 16, readers: 1, vault_key: None };
    (Store::open(dir.path(), options, Arc::new(NoObserver)).unwrap(), dir)
}

fn shop() -> DeviceId {
    "shop".parse().unwrap()
}

fn hidden() -> Jid {
    "77001@lid".parse().unwrap()
}

fn number() -> Jid {
    "15550100001".parse().unwrap()
}

fn draft(content: &str) -> MessageDraft {
    MessageDraft {
        kind: ChatMessageKind::Text,
        content: content.to_owned(),
        attachment_url: None,
        attachment_name: None,
        temp_id: None,
    }
}

#[tokio::test]
async fn conversation_of_deleted_chat_stays_in_the_list() {
    let (store, _dir) = open();
    let conversation = store
        .write::<_, StoreError, _>(|tx| {
            let phone = tx.put_system_author("phone", "Phone", NOW)?;
            tx.create_device_conversation(&shop(), &number(), phone, 1, NOW)
        })
        .await
        .unwrap();
    let (listed, unread) = store
        .read::<_, StoreError, _>(move |store| {
            Ok((
                store.device_conversations(&shop(), 10)?,
                store.unread_of_device_conversation(conversation.id)?,
            ))
        })
        .await
        .unwrap();
    assert_eq!((listed, unread), (vec![conversation.id], 0));
}

#[tokio::test]
async fn conversations_of_merged_chats_become_one() {
    let (store, _dir) = open();
    store
        .write::<_, StoreError, _>(|tx| {
            let phone = tx.put_system_author("phone", "Phone", NOW)?;
            let gone = tx.create_device_conversation(&shop(), &hidden(), phone, 1, NOW)?;
            let kept = tx.create_device_conversation(&shop(), &number(), phone, 1, NOW)?;
            let first = tx.add_chat_message(gone.id, gone.contact, &draft("first"), None, NOW)?;
            let second = tx.add_chat_message(kept.id, kept.contact, &draft("second"), None, NOW)?;
            let third = tx.add_chat_message(gone.id, phone, &draft("third"), None, NOW)?;
            let owner = |conversation, user| ReceiptOwner { conversation, user, level: ReceiptLevel::Read };
            tx.add_receipts(&owner(gone.id, gone.contact), third.id.0, third.id.0, NOW)?;

            tx.merge_device_conversations(&shop(), &hidden(), &number())?;

            assert_eq!(tx.conversation(gone.id)?, None);
            assert_eq!(tx.device_conversations(&shop(), 10)?, [kept.id]);
            let messages = tx.chat_messages_before(kept.id, i64::MAX, 10, 0)?;
            let authors: Vec<_> = messages.iter().map(|message| (message.id, message.sender)).collect();
            assert_eq!(authors, [(third.id, phone), (second.id, kept.contact), (first.id, kept.contact)]);
            let read = tx.receipt_ranges(&owner(kept.id, kept.contact), 1, third.id.0)?;
            assert_eq!(read.at(third.id), Some(NOW));
            assert_eq!(tx.chat_user_by_pk(gone.contact)?, None);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn conversation_follows_its_chat_to_another_id() {
    let (store, _dir) = open();
    store
        .write::<_, StoreError, _>(|tx| {
            let phone = tx.put_system_author("phone", "Phone", NOW)?;
            let known = tx.create_device_conversation(&shop(), &hidden(), phone, 1, NOW)?;
            tx.merge_device_conversations(&shop(), &hidden(), &number())?;
            let found = tx.device_conversation(&shop(), &number())?.map(|found| found.id);
            assert_eq!(found, Some(known.id));
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn workflow_survives_reopening_and_is_logged() {
    let (store, dir) = open();
    let id = store
        .write::<_, StoreError, _>(|tx| {
            let phone = tx.put_system_author("phone", "Phone", NOW)?;
            let id = tx.create_device_conversation(&shop(), &number(), phone, 1, NOW)?.id;
            assert_eq!(tx.inbox_status(id)?, InboxStatus { state: ConversationState::Open, assignee: None });
            tx.set_assignee(id, Some(phone))?;
            assert!(tx.set_conversation_state(id, ConversationState::Closed)?);
            assert!(!tx.set_conversation_state(id, ConversationState::Closed)?);
            tx.append_chat_event(&ChatLogEntry::Closed { conversation: id.0, by: Some(phone.0) }, NOW)?;
            let note = InternalNote::new("secret".to_owned(), 10).unwrap();
            let message = tx.add_note(id, InboxAuthor { user: phone, temp_id: None }, &note, NOW)?;
            assert!(tx.linked_message(message.id)?.is_none());
            Ok((id, phone))
        })
        .await
        .unwrap();
    store.close().await;
    drop(store);
    let (store, _dir) = open_in(dir);
    let (id, phone) = id;
    store
        .read::<_, StoreError, _>(move |store| {
            let status = InboxStatus { state: ConversationState::Closed, assignee: Some(phone) };
            assert_eq!(store.inbox_status(id)?, status);
            let entries = store.chat_events_after(0, 10)?;
            assert_eq!(entries[0].1, ChatLogEntry::Closed { conversation: id.0, by: Some(phone.0) });
            assert_eq!(store.newest_chat_message(id)?.unwrap().content, "secret");
            Ok(())
        })
        .await
        .unwrap();
}
