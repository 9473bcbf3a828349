//! The ways in which the network ends a device's connection, and the device's reactions.

use std::time::Duration;

use wacore::types::events::{ConnectFailureReason, Event, TempBanReason};

use crate::device::{Device, storage, until};
use crate::{PHONE, account, testbed};

#[tokio::test(flavor = "multi_thread")]
async fn unlinked_device_is_logged_out_and_refused() {
    let testbed = testbed().await;
    let kept = storage();
    let (mut device, linked) = Device::linked(&testbed, &kept, PHONE).await;
    assert!(account(&testbed, PHONE).unlink(linked.device).await);
    assert!(!logged_out(&mut device).await, "it was connected");
    device.stop().await;
    let mut device = Device::start(&testbed, &kept).await;
    assert!(logged_out(&mut device).await, "refused on connecting");
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn device_logout_unlinks_it_from_phone() {
    let testbed = testbed().await;
    let (device, _) = Device::linked(&testbed, &storage(), PHONE).await;
    let client = device.client();
    client.logout().await;
    let account = account(&testbed, PHONE);
    until("no device is linked", || account.devices().is_empty()).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_connection_replaces_first() {
    let testbed = testbed().await;
    let kept = storage();
    let (mut first, linked) = Device::linked(&testbed, &kept, PHONE).await;
    let second = Device::start(&testbed, &kept).await;
    first.next("replacement", |event| matches!(event, Event::StreamReplaced(_)).then_some(())).await;
    second.online(&testbed, &linked).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_device_gets_stream_replaced() {
    let testbed = testbed().await;
    let (mut device, _) = Device::linked(&testbed, &storage(), PHONE).await;
    account(&testbed, PHONE).replace_streams().await;
    device.next("replacement", |event| matches!(event, Event::StreamReplaced(_)).then_some(())).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_ban_has_code_and_expiry() {
    let testbed = testbed().await;
    let (mut device, _) = Device::linked(&testbed, &storage(), PHONE).await;
    account(&testbed, PHONE).ban_temporarily(104, Duration::from_secs(3_600));
    let (code, seconds) = device
        .next("ban", |event| match event {
            Event::TemporaryBan(ban) => Some((ban.code.clone(), ban.expire.num_seconds())),
            _ => None,
        })
        .await;
    assert_eq!(code, TempBanReason::SentTooManySameMessage);
    assert!((3_590..=3_600).contains(&seconds), "{seconds}");
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_ban_logs_device_out() {
    let testbed = testbed().await;
    let (mut device, _) = Device::linked(&testbed, &storage(), PHONE).await;
    account(&testbed, PHONE).ban();
    let reason = device
        .next("log-out", |event| match event {
            Event::LoggedOut(out) => Some(out.reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, ConnectFailureReason::AccountLocked);
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outdated_client_is_refused_with_reason() {
    let testbed = testbed().await;
    let (mut device, _) = Device::linked(&testbed, &storage(), PHONE).await;
    account(&testbed, PHONE).client_outdated(true);
    device.next("word", |event| matches!(event, Event::ClientOutdated(_)).then_some(())).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_server_is_retried() {
    let testbed = testbed().await;
    let (mut device, linked) = Device::linked(&testbed, &storage(), PHONE).await;
    account(&testbed, PHONE).unavailable(1).await;
    let reason = device
        .next("refusal", |event| match event {
            Event::ConnectFailure(failure) => Some(failure.reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, ConnectFailureReason::ServiceUnavailable);
    device.online(&testbed, &linked).await;
    testbed.stop().await;
}

/// Waits until the device is logged out; `true` if that happened when connecting.
async fn logged_out(device: &mut Device) -> bool {
    device
        .next("log-out", |event| match event {
            Event::LoggedOut(out) => Some(out.on_connect),
            _ => None,
        })
        .await
}
