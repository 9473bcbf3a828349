//! The history sync.

use std::collections::BTreeSet;

use serde_json::json;
use wacore::types::events::Event;

use crate::device::Device;
use crate::{PHONE, account, testbed};

#[tokio::test(flavor = "multi_thread")]
async fn linked_device_receives_history() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({ "contacts": 4, "groups": 1, "history": 700 }));
    let mut device = Device::linked(&testbed, &account).await;
    let (mut texts, mut names, mut blobs) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    while texts.len() < 700 {
        let blob = device
            .next("history", |event| match event {
                Event::HistorySync(blob) => Some(blob.get().expect("a blob that can be read").clone()),
                _ => None,
            })
            .await;
        names.extend(blob.pushnames.iter().filter_map(|name| name.pushname.clone()));
        let chats = blob.conversations.iter();
        texts.extend(chats.flat_map(|chat| &chat.messages).filter_map(|said| said.message.key.id.clone()));
        blobs.push(blob.sync_type as i32);
    }
    // The client downloads several at once.
    blobs.sort_unstable();
    assert_eq!(blobs, [0, 3, 3, 4], "the newest messages, the older ones, and the names");
    assert!(names.contains("Contact 4"));
    testbed.stop().await;
}
