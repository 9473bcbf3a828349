//! Many phones with a device each.

use futures_util::StreamExt as _;
use futures_util::stream;
use testbed::server::pairing::Linked;

use crate::device::{Device, storage, until};
use crate::{account, testbed};

/// Number of devices.
const DEVICES: u32 = 100;
/// Devices that are linked at the same time.
const TOGETHER: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn slow_hundred_devices_reconnect_after_link_loss() {
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
