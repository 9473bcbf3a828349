//! The newest `seq` of each followed log; a hint to read the log, without the entries.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::domain::ids::DeviceId;

#[derive(Debug, Default)]
pub(in crate::store) struct SeqWatch {
    followed: Mutex<HashMap<DeviceId, watch::Sender<i64>>>,
}

impl SeqWatch {
    /// Changes after each commit that appends to this device's log.
    pub(in crate::store) fn follow(&self, device: &DeviceId) -> watch::Receiver<i64> {
        let mut followed = self.followed.lock();
        followed.entry(device.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    pub(in crate::store) fn advance(&self, device: &DeviceId, seq: i64) {
        let mut followed = self.followed.lock();
        let Some(head) = followed.get(device) else { return };
        if head.receiver_count() == 0 {
            followed.remove(device);
            return;
        }
        head.send_if_modified(|newest| {
            let newer = seq > *newest;
            *newest = seq.max(*newest);
            newer
        });
    }
}
