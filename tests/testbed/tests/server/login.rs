//! Logins of a linked device: the full handshake, the short one, and a wrong key.

use std::time::Duration;

use testbed::wire::noise::Pattern;
use tokio::time::Instant;
use wacore::types::events::{ConnectFailureReason, Event};

use crate::device::{Device, storage, until};
use crate::{PHONE, account, testbed};

#[tokio::test(flavor = "multi_thread")]
async fn first_login_uses_xx_and_later_ones_ik() {
    let testbed = testbed().await;
    let kept = storage();
    let (device, linked) = Device::linked(&testbed, &kept, PHONE).await;
    device.stop().await;
    let device = Device::start(&testbed, &kept).await;
    device.online(&testbed, &linked).await;
    // The first connection may be visible shortly after its end.
    let logins =
        || account(&testbed, PHONE).with(linked.device, |companion| companion.logins.clone()).unwrap();
    for _ in 0..500 {
        if logins().len() > 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(logins(), [Pattern::Xx, Pattern::Ik]);
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_link_is_reconnected() {
    let testbed = testbed().await;
    let (device, linked) = Device::linked(&testbed, &storage(), PHONE).await;
    let account = account(&testbed, PHONE);
    let before = account.link(linked.device).unwrap().id();
    account.drop_links();
    until("another link", || account.link(linked.device).is_some_and(|link| link.id() != before)).await;
    device.online(&testbed, &linked).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connections_are_retried() {
    let testbed = testbed().await;
    let (device, linked) = Device::linked(&testbed, &storage(), PHONE).await;
    let account = account(&testbed, PHONE);
    account.refuse_connections(1);
    until("the link is gone", || account.link(linked.device).is_none()).await;
    device.online(&testbed, &linked).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_link_resumes() {
    let testbed = testbed().await;
    let (device, linked) = Device::linked(&testbed, &storage(), PHONE).await;
    let account = account(&testbed, PHONE);
    let link = account.link(linked.device).unwrap();
    link.stall(Duration::from_millis(700));
    let asked = Instant::now();
    device.client().fetch_privacy_settings().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(500), "{:?}", asked.elapsed());
    assert!(!link.is_closed());
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_link_stays_slow_after_reconnect() {
    let testbed = testbed().await;
    let (device, linked) = Device::linked(&testbed, &storage(), PHONE).await;
    let account = account(&testbed, PHONE);
    let before = account.link(linked.device).unwrap().id();
    account.slow_link(Duration::from_millis(200));
    account.drop_links();
    until("another link", || account.link(linked.device).is_some_and(|link| link.id() != before)).await;
    device.online(&testbed, &linked).await;
    let asked = Instant::now();
    device.client().fetch_privacy_settings().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(150), "{:?}", asked.elapsed());
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn device_with_wrong_key_is_logged_out() {
    let testbed = testbed().await;
    let kept = storage();
    let (device, linked) = Device::linked(&testbed, &kept, PHONE).await;
    device.stop().await;
    account(&testbed, PHONE).with(linked.device, |companion| companion.noise_key = [9; 32]).unwrap();
    let mut device = Device::start(&testbed, &kept).await;
    let (on_connect, reason) = device
        .next("log-out", |event| match event {
            Event::LoggedOut(out) => Some((out.on_connect, out.reason)),
            _ => None,
        })
        .await;
    assert!(on_connect);
    assert_eq!(reason, ConnectFailureReason::LoggedOut);
    testbed.stop().await;
}
