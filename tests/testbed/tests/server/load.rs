//! Many phones, each with a device.

use futures_util::StreamExt as _;
use futures_util::stream;
use testbed::server::pairing::Linked;

use crate::device::{Device, storage, until};
use crate::{account, testbed};

/// How many devices there are.
const DEVICES: u32 = 100;
/// How many are linked at a time.
const TOGETHER: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn slow_a_hundred_devices_lose_their_links_together_and_all_come_back() {
    let testbed = testbed().await;
    let devices: Vec<_> = stream::iter(0..DEVICES)
        .map(|n| {
            let testbed = &testbed;
            async move { Device::linked(testbed, &storage(), &format!("15550102{n:03}")).await }
        })
        .buffer_unordered(TOGETHER)
        .collect()
        .await;
    let link = |linked: &Linked| account(&testbed, &linked.number).link(linked.device).map(|link| link.id());
    let before: Vec<_> = devices.iter().map(|(_, linked)| link(linked).unwrap()).collect();
    for (_, linked) in &devices {
        account(&testbed, &linked.number).refuse_connections(1);
    }
    for ((device, linked), before) in devices.iter().zip(before) {
        until("another link", || link(linked).is_some_and(|now| now != before)).await;
        device.online(&testbed, linked).await;
    }
    testbed.stop().await;
}
