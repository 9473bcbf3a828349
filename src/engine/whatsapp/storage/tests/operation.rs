//! Operations of the library's storage as values, and their results as text.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::error::Result;
use wacore::store::traits::{
    AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry,
    PendingInboundKey, PendingInboundRow, TcTokenEntry,
};

/// One operation. Names and numbers are few, so that operations affect the same entries.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Signal(Signal, u8, u8),
    AppSync(AppSync, u8, u8),
    Protocol(Protocol, u8, u8),
    Secrets(Secrets, u8, u8),
    Reopen,
}

macro_rules! choices {
    ($name:ident { $($choice:ident),+ $(,)? }) => {
        #[allow(clippy::enum_variant_names, reason = "each variant is a call of the storage trait")]
        #[derive(Debug, Clone, Copy)]
        pub(super) enum $name { $($choice),+ }

        impl $name {
            fn any() -> impl Strategy<Value = Self> {
                prop::sample::select(vec![$(Self::$choice),+])
            }
        }
    };
}

choices!(Signal {
    PutIdentity,
    PutIdentities,
    LoadIdentity,
    DeleteIdentity,
    PutSession,
    PutSessions,
    GetSession,
    HasSession,
    DeleteSession,
    HasState,
    StorePrekey,
    StorePrekeys,
    LoadPrekey,
    LoadPrekeys,
    MarkUploaded,
    RemovePrekey,
    MaxPrekey,
    StoreSigned,
    LoadSigned,
    AllSigned,
    RemoveSigned,
    PutSenderKey,
    PutSenderKeys,
    GetSenderKey,
    DeleteSenderKey,
});
choices!(AppSync {
    SetKey,
    GetKey,
    Latest,
    SetVersion,
    GetVersion,
    PutMacs,
    GetMac,
    GetMacs,
    DeleteMacs,
    ClearMacs,
});
choices!(Protocol {
    KeyDevices,
    SetKeyDevices,
    ClearKeyDevices,
    ForgetKeyDevices,
    ClearAllKeyDevices,
    PutLid,
    PutLids,
    GetLid,
    GetNumber,
    AllLids,
    SaveBaseKey,
    SameBaseKey,
    DeleteBaseKey,
    UpdateDevices,
    UpdateManyDevices,
    GetDevices,
    DeleteDevices,
    PutGroup,
    GetGroup,
    DeleteGroup,
});
choices!(Secrets {
    PutToken,
    GetToken,
    DeleteToken,
    AllTokens,
    PruneTokens,
    TouchToken,
    ReceiveToken,
    StoreSent,
    TakeSent,
    PruneSent,
    StorePending,
    StoreManyPending,
    GetPending,
    DeletePending,
    DeleteManyPending,
    PrunePending,
    PutSecrets,
    PutSecret,
    GetSecret,
    GetSecretWithTime,
    PruneSecrets,
});

pub(super) fn any_operation() -> impl Strategy<Value = Operation> {
    let (a, b) = (0..4_u8, 0..4_u8);
    prop_oneof![
        8 => (Signal::any(), a.clone(), b.clone()).prop_map(|(what, a, b)| Operation::Signal(what, a, b)),
        5 => (AppSync::any(), a.clone(), b.clone()).prop_map(|(what, a, b)| Operation::AppSync(what, a, b)),
        8 => (Protocol::any(), a.clone(), b.clone()).prop_map(|(what, a, b)| Operation::Protocol(what, a, b)),
        8 => (Secrets::any(), a, b).prop_map(|(what, a, b)| Operation::Secrets(what, a, b)),
        1 => Just(Operation::Reopen),
    ]
}

/// The result of an operation.
pub(super) async fn answer(backend: &dyn Backend, operation: &Operation) -> String {
    match *operation {
        Operation::Signal(what, a, b) => signal(backend, what, a, b).await,
        Operation::AppSync(what, a, b) => app_sync(backend, what, a, b).await,
        Operation::Protocol(what, a, b) => protocol(backend, what, a, b).await,
        Operation::Secrets(what, a, b) => secrets(backend, what, a, b).await,
        Operation::Reopen => String::new(),
    }
}

fn text<T: Debug>(answer: Result<T>) -> String {
    format!("{:?}", answer.unwrap())
}

fn sorted<T: Debug>(answer: Result<Vec<T>>) -> String {
    let mut all: Vec<String> = answer.unwrap().iter().map(|item| format!("{item:?}")).collect();
    all.sort();
    all.join("\n")
}

/// Names that are prefixes of each other or contain separators of keys.
fn name(n: u8) -> &'static str {
    ["1555010", "15550100", "1555010|2", "%7C"][usize::from(n)]
}

fn address(a: u8, b: u8) -> String {
    match b {
        0 => format!("{}@c", name(a)),
        _ => format!("{}:{b}@c", name(a)),
    }
}

fn records(a: u8, b: u8) -> Vec<(Arc<str>, Bytes)> {
    (0..=a).map(|n| (Arc::from(address(n, b)), Bytes::from(vec![n, b]))).collect()
}

/// Numbers whose text order differs from their numeric order.
fn number(n: u8) -> u32 {
    [2, 10, 9, 16_777_215][usize::from(n)]
}

async fn signal(backend: &dyn Backend, what: Signal, a: u8, b: u8) -> String {
    let at = address(a, b);
    let ids = [number(a), number(b)];
    let prekeys = [(number(a), Bytes::from(vec![a])), (number(b), Bytes::from(vec![b]))];
    match what {
        Signal::PutIdentity => text(backend.put_identity(&at, [b; 32]).await),
        Signal::PutIdentities => {
            let many: Vec<_> = (0..=a).map(|n| (Arc::from(address(n, b)), [n; 32])).collect();
            text(backend.put_identities_batch(&many).await)
        }
        Signal::LoadIdentity => text(backend.load_identity(&at).await),
        Signal::DeleteIdentity => text(backend.delete_identity(&at).await),
        Signal::PutSession => text(backend.put_session(&at, &[a, b]).await),
        Signal::PutSessions => text(backend.put_sessions_batch(&records(a, b)).await),
        Signal::GetSession => text(backend.get_session(&at).await),
        Signal::HasSession => text(backend.has_session(&at).await),
        Signal::DeleteSession => text(backend.delete_session(&at).await),
        Signal::HasState => text(backend.has_signal_state_for_user(name(a)).await),
        Signal::StorePrekey => text(backend.store_prekey(ids[0], &[b], false).await),
        Signal::StorePrekeys => text(backend.store_prekeys_batch(&prekeys, true).await),
        Signal::LoadPrekey => text(backend.load_prekey(ids[0]).await),
        Signal::LoadPrekeys => text(backend.load_prekeys_batch(&ids).await),
        Signal::MarkUploaded => text(backend.mark_prekeys_uploaded(&ids).await),
        Signal::RemovePrekey => text(backend.remove_prekey(ids[0]).await),
        Signal::MaxPrekey => text(backend.get_max_prekey_id().await),
        Signal::StoreSigned => text(backend.store_signed_prekey(ids[0], &[b]).await),
        Signal::LoadSigned => text(backend.load_signed_prekey(ids[0]).await),
        Signal::AllSigned => sorted(backend.load_all_signed_prekeys().await),
        Signal::RemoveSigned => text(backend.remove_signed_prekey(ids[0]).await),
        Signal::PutSenderKey => text(backend.put_sender_key(&at, &[a, b]).await),
        Signal::PutSenderKeys => text(backend.put_sender_keys_batch(&records(a, b)).await),
        Signal::GetSenderKey => text(backend.get_sender_key(&at).await),
        Signal::DeleteSenderKey => text(backend.delete_sender_key(&at).await),
    }
}

async fn app_sync(backend: &dyn Backend, what: AppSync, a: u8, b: u8) -> String {
    let (collection, index_mac) = (name(a), [b; 32]);
    match what {
        AppSync::SetKey => {
            let key = AppStateSyncKey { key_data: vec![a], fingerprint: vec![b], timestamp: 5 };
            text(backend.set_sync_key(&[a, b], key).await)
        }
        AppSync::GetKey => text(backend.get_sync_key(&[a, b]).await),
        AppSync::Latest => text(backend.get_latest_sync_key_id().await),
        AppSync::SetVersion => {
            let mut state = HashState { version: u64::from(b), hash: [b; 128], ..HashState::default() };
            state.index_value_map.insert("i".to_owned(), vec![a, b]);
            state.mac_mismatch_fatal = b == 1;
            text(backend.set_version(collection, state).await)
        }
        AppSync::GetVersion => text(backend.get_version(collection).await),
        AppSync::PutMacs => {
            let mac = |n: u8| AppStateMutationMAC { index_mac: vec![n; 32], value_mac: vec![a, n] };
            text(backend.put_mutation_macs(collection, 1, &[mac(b), mac(a)]).await)
        }
        AppSync::GetMac => text(backend.get_mutation_mac(collection, &index_mac).await),
        AppSync::GetMacs => {
            let found = backend.get_mutation_macs(collection, &[index_mac, [a; 32]]).await;
            sorted(found.map(|found| found.into_iter().collect()))
        }
        AppSync::DeleteMacs => text(backend.delete_mutation_macs(collection, &[vec![b; 32]]).await),
        AppSync::ClearMacs => text(backend.clear_mutation_macs(collection).await),
    }
}

/// Each LID has numbers of its own; `concurrency` tests shared ones.
fn mapping(a: u8, b: u8) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: format!("lid-{a}"),
        phone_number: format!("{a}-{b}"),
        created_at: 1,
        updated_at: i64::from(b),
        learning_source: "usync".to_owned(),
    }
}

fn devices(a: u8, b: u8) -> DeviceListRecord {
    let device = DeviceInfo::new(u32::from(b), Some(u32::from(a))).with_hosting(b == 2);
    let (user, phash) = (name(a).to_owned(), (b > 1).then(|| "2:hash".to_owned()));
    DeviceListRecord { user, devices: vec![device], timestamp: 7, phash, raw_id: Some(u32::from(b)) }
}

async fn protocol(backend: &dyn Backend, what: Protocol, a: u8, b: u8) -> String {
    let (group, person) = (name(a), name(b));
    match what {
        Protocol::KeyDevices => sorted(backend.get_sender_key_devices(group).await),
        Protocol::SetKeyDevices => {
            let entries = [(person, a > 1), (name(a), b > 1)];
            text(backend.set_sender_key_status(group, &entries).await)
        }
        Protocol::ClearKeyDevices => text(backend.clear_sender_key_devices(group).await),
        Protocol::ForgetKeyDevices => text(backend.delete_sender_key_device_rows(&[person, group]).await),
        Protocol::ClearAllKeyDevices => text(backend.clear_all_sender_key_devices().await),
        Protocol::PutLid => text(backend.put_lid_mapping(&mapping(a, b)).await),
        Protocol::PutLids => {
            let many = [mapping(a, b), mapping(b, a), mapping(a, a)];
            text(backend.put_lid_mappings(&many).await)
        }
        Protocol::GetLid => text(backend.get_lid_mapping(&mapping(a, b).lid).await),
        Protocol::GetNumber => text(backend.get_pn_mapping(&mapping(a, b).phone_number).await),
        Protocol::AllLids => sorted(backend.get_all_lid_mappings().await),
        Protocol::SaveBaseKey => text(backend.save_base_key(group, person, &[a]).await),
        Protocol::SameBaseKey => text(backend.has_same_base_key(group, person, &[a]).await),
        Protocol::DeleteBaseKey => text(backend.delete_base_key(group, person).await),
        Protocol::UpdateDevices => text(backend.update_device_list(devices(a, b)).await),
        Protocol::UpdateManyDevices => {
            text(backend.update_device_lists(vec![devices(a, b), devices(b, a)]).await)
        }
        Protocol::GetDevices => text(backend.get_devices(group).await),
        Protocol::DeleteDevices => text(backend.delete_devices(group).await),
        Protocol::PutGroup => text(backend.put_group_metadata(group, &[b]).await),
        Protocol::GetGroup => text(backend.get_group_metadata(group).await),
        Protocol::DeleteGroup => text(backend.delete_group_metadata(group).await),
    }
}

fn secret(a: u8, b: u8, expires_at: i64) -> MsgSecretEntry {
    let (chat, sender, msg_id) = (name(a).into(), name(b).into(), "M".into());
    let message_ts = i64::from(b) * 10;
    MsgSecretEntry { chat, sender, msg_id, secret: [a ^ b; 32], expires_at, message_ts }
}

async fn secrets(backend: &dyn Backend, what: Secrets, a: u8, b: u8) -> String {
    let (chat, sender) = (name(a), name(b));
    let time = i64::from(b) * 100;
    // Before or after everything stored now.
    let cutoff = wacore::time::now_secs() + if a == 0 { 1_000 } else { -1_000 };
    let row = PendingInboundRow { chat, sender, id: "M", message: &[a, b] };
    let key = PendingInboundKey { chat, sender, id: "M" };
    match what {
        Secrets::PutToken => {
            let sender_timestamp = (a > 1).then_some(time);
            let entry = TcTokenEntry { token: vec![7; a.into()], token_timestamp: time, sender_timestamp };
            text(backend.put_tc_token(chat, &entry).await)
        }
        Secrets::GetToken => text(backend.get_tc_token(chat).await),
        Secrets::DeleteToken => text(backend.delete_tc_token(chat).await),
        Secrets::AllTokens => sorted(backend.get_all_tc_token_jids().await),
        Secrets::PruneTokens => text(backend.delete_expired_tc_tokens(time, i64::from(a) * 100).await),
        Secrets::TouchToken => text(backend.touch_tc_token_sender_timestamp(chat, time).await),
        Secrets::ReceiveToken => text(backend.store_received_tc_token(chat, &[a, b], time).await),
        Secrets::StoreSent => text(backend.store_sent_message(chat, sender, &[a]).await),
        Secrets::TakeSent => text(backend.take_sent_message(chat, sender).await),
        Secrets::PruneSent => text(backend.delete_expired_sent_messages(cutoff).await),
        Secrets::StorePending => text(backend.store_pending_inbound(chat, sender, "M", &[b]).await),
        Secrets::StoreManyPending => text(backend.store_pending_inbound_batch(&[row, row]).await),
        // Missing and not ingested is an error only here.
        Secrets::GetPending => {
            format!("{:?}", backend.get_pending_inbound(chat, sender, "M").await.ok().flatten())
        }
        Secrets::DeletePending => text(backend.delete_pending_inbound(chat, sender, "M").await),
        Secrets::DeleteManyPending => text(backend.delete_pending_inbound_batch(&[key, key]).await),
        Secrets::PrunePending => text(backend.delete_expired_pending_inbound(cutoff).await),
        Secrets::PutSecrets => {
            let many = vec![secret(a, b, time), secret(b, a, 0), secret(a, b, 200), secret(a, a, 100)];
            text(backend.put_msg_secrets(many).await)
        }
        Secrets::PutSecret => text(backend.put_msg_secret(chat, sender, "M", &[9; 32]).await),
        Secrets::GetSecret => text(backend.get_msg_secret(chat, sender, "M").await),
        Secrets::GetSecretWithTime => text(backend.get_msg_secret_with_ts(chat, sender, "M").await),
        Secrets::PruneSecrets => text(backend.delete_expired_msg_secrets(time).await),
    }
}
