//! A linked device logs in again, with the full handshake and then the short one, and only with its
//! own key.

use std::time::Duration;

use testbed::wire::noise::Pattern;
use tokio::time::Instant;
use wacore::types::events::{ConnectFailureReason, Event};

use crate::device::{Device, storage, until};
use crate::{PHONE, account, testbed};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_login_is_xx_and_the_following_ones_are_ik() {
    let testbed = testbed().await;
    let kept = storage();
    let (device, linked) = Device::linked(&testbed, &kept, PHONE).await;
    device.stop().await;
    let device = Device::start(&testbed, &kept).await;
    device.online(&testbed, &linked).await;
    // The first connection may be seen for a moment longer than it lasts.
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
async fn a_link_that_drops_is_made_again() {
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
async fn refused_connections_end_and_the_next_one_is_let_in() {
    let testbed = testbed().await;
    let (device, linked) = Device::linked(&testbed, &storage(), PHONE).await;
    let account = account(&testbed, PHONE);
    account.refuse_connections(1);
    until("the link is gone", || account.link(linked.device).is_none()).await;
    device.online(&testbed, &linked).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_link_stays_open_and_silent_and_then_goes_on() {
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
async fn a_slow_link_is_slow_also_after_the_device_comes_back() {
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
async fn a_device_whose_key_is_another_is_logged_out() {
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
