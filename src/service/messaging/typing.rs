//! Sends typing and presence to the network.
//!
//! One task for each device stops typing that is not renewed; at most [`MOST_CHATS`] chats are tracked.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::event::TypingKind;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::service::{Messaging, ServiceError};

/// Typing stops after this time without renewal, as on phones.
const STOPS_AFTER: Duration = Duration::from_secs(25);
/// Chats of one device with active typing; above this number the oldest stops early.
const MOST_CHATS: usize = 256;

/// Chats with active typing, by device. A device has an entry exactly while its task runs.
#[derive(Default)]
pub(in crate::service) struct Typing {
    devices: Mutex<HashMap<DeviceId, TypingChats>>,
}

/// Chats of one device with active typing, each with the moment when typing stops.
#[derive(Default)]
struct TypingChats {
    chats: HashMap<Jid, (Instant, TypingKind)>,
}

/// The next step of a device's task.
enum Next {
    /// Stop typing in these chats.
    Stop(Vec<(Jid, TypingKind)>),
    /// Sleep until this moment.
    Wait(Instant),
    /// No chat is left, and the task ends.
    End,
}

impl TypingChats {
    /// Adds or renews a chat. Returns the oldest chat if it has to stop because there are too many.
    fn show(&mut self, chat: &Jid, kind: TypingKind, until: Instant) -> Option<(Jid, TypingKind)> {
        let is_new = self.chats.insert(chat.clone(), (until, kind)).is_none();
        if !is_new || self.chats.len() <= MOST_CHATS {
            return None;
        }
        let others = self.chats.iter().filter(|(other, _)| *other != chat);
        let oldest = others.min_by_key(|(_, (until, _))| *until).map(|(oldest, _)| oldest.clone())?;
        self.chats.remove_entry(&oldest).map(|(chat, (_, kind))| (chat, kind))
    }

    fn take_expired(&mut self, now: Instant) -> Vec<(Jid, TypingKind)> {
        self.chats.extract_if(|_, (until, _)| *until <= now).map(|(chat, (_, kind))| (chat, kind)).collect()
    }
}

impl Typing {
    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<DeviceId, TypingChats>> {
        self.devices.lock()
    }

    /// Adds or renews a chat. Returns whether the device needs a new task, and a chat that has to stop.
    fn show(&self, device: &DeviceId, chat: &Jid, kind: TypingKind) -> (bool, Option<(Jid, TypingKind)>) {
        let mut devices = self.lock();
        let idle = !devices.contains_key(device);
        let active = devices.entry(device.clone()).or_default();
        (idle, active.show(chat, kind, Instant::now() + STOPS_AFTER))
    }

    fn hide(&self, device: &DeviceId, chat: &Jid) {
        if let Some(active) = self.lock().get_mut(device) {
            active.chats.remove(chat);
        }
    }

    fn next(&self, device: &DeviceId, now: Instant) -> Next {
        let mut devices = self.lock();
        let Some(active) = devices.get_mut(device) else { return Next::End };
        let over = active.take_expired(now);
        if !over.is_empty() {
            return Next::Stop(over);
        }
        let next = active.chats.values().map(|(until, _)| *until).min();
        if next.is_none() {
            devices.remove(device);
        }
        next.map_or(Next::End, Next::Wait)
    }
}

impl Messaging {
    /// Starts or stops typing in a chat. Typing stops after 25 s without renewal.
    ///
    /// # Errors
    /// When there is no such device, it is not connected, or its engine does not support typing.
    pub async fn typing(
        &self,
        device: &DeviceId,
        chat: &Jid,
        kind: TypingKind,
        on: bool,
    ) -> Result<(), ServiceError> {
        let session = self.registry.session(device)?;
        let chat = &self.canonical_chat(device, chat).await?;
        session.typing(chat, kind, on).await?;
        if !on {
            self.typing.hide(device, chat);
            return Ok(());
        }
        let (idle, too_many) = self.typing.show(device, chat, kind);
        if idle {
            let (messaging, device) = (self.clone(), device.clone());
            self.tasks.spawn("typing", async move { messaging.stop_typing_in_time(&device).await });
        }
        if let Some((chat, kind)) = too_many {
            let _ = session.typing(&chat, kind, false).await;
        }
        Ok(())
    }

    async fn stop_typing_in_time(&self, device: &DeviceId) {
        loop {
            // During shutdown all typing is expired.
            let draining = self.tasks.soft().is_cancelled();
            let now = if draining { Instant::now() + STOPS_AFTER } else { Instant::now() };
            match self.typing.next(device, now) {
                Next::End => return,
                Next::Stop(over) => self.stop_typing(device, &over).await,
                Next::Wait(until) => {
                    tokio::select! {
                        () = self.tasks.soft().cancelled() => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
            }
        }
    }

    async fn stop_typing(&self, device: &DeviceId, over: &[(Jid, TypingKind)]) {
        // The network shows no typing for a device that went offline.
        let Ok(session) = self.registry.session(device) else { return };
        for (chat, kind) in over {
            let _ = session.typing(chat, *kind, false).await;
        }
    }

    /// Records that an operator uses the device now; nothing happens while it is not connected.
    pub fn operator_active(&self, device: &DeviceId) {
        if let Ok(session) = self.registry.session(device) {
            session.operator_active();
        }
    }

    /// Asks the network to report when this person is online.
    ///
    /// # Errors
    /// When there is no such device, it is not connected, or its engine does not support presence.
    pub async fn subscribe_presence(&self, device: &DeviceId, contact: &Jid) -> Result<(), ServiceError> {
        let session = self.registry.session(device)?;
        let contact = self.canonical_chat(device, contact).await?;
        Ok(session.subscribe_presence(&contact).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(n: usize) -> Jid {
        format!("1555010{n:04}").parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn oldest_typing_stops_above_limit() {
        let (typing, device) = (Typing::default(), "shop".parse().unwrap());
        for n in 0..MOST_CHATS {
            assert_eq!(typing.show(&device, &jid(n), TypingKind::Text), (n == 0, None));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(typing.show(&device, &jid(0), TypingKind::Audio), (false, None), "renewed, not added");
        tokio::time::advance(Duration::from_millis(1)).await;
        let stopped = typing.show(&device, &jid(9_999), TypingKind::Text);
        assert_eq!(stopped, (false, Some((jid(1), TypingKind::Text))));
    }

    #[tokio::test(start_paused = true)]
    async fn unrenewed_typing_expires_and_task_ends() {
        let (typing, device) = (Typing::default(), "shop".parse().unwrap());
        typing.show(&device, &jid(1), TypingKind::Text);
        assert!(matches!(typing.next(&device, Instant::now()), Next::Wait(_)));
        tokio::time::advance(STOPS_AFTER).await;
        assert!(matches!(typing.next(&device, Instant::now()), Next::Stop(over) if over.len() == 1));
        assert!(matches!(typing.next(&device, Instant::now()), Next::End));
        let (idle, _) = typing.show(&device, &jid(1), TypingKind::Text);
        assert!(idle, "a new task is needed");
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_typing_uses_one_task() {
        let (typing, device) = (Typing::default(), "shop".parse().unwrap());
        assert!(typing.show(&device, &jid(1), TypingKind::Text).0);
        for _ in 0..100 {
            typing.hide(&device, &jid(1));
            assert!(!typing.show(&device, &jid(1), TypingKind::Text).0);
        }
    }
}
