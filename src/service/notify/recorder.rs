//! Stores notifications and then queues them for their executors. A notification is never queued before it is
//! committed.

use std::sync::Arc;

use crate::domain::clock::Millis;
use crate::domain::event::{Event, NotificationEvent};
use crate::domain::ids::DeviceId;
use crate::domain::notify::{Action, Coalesced, Kind, text};
use crate::service::{Notifications, ServiceError};
use crate::store::notifications::Notification;

/// A stored notification that is to be shown, played, run or pushed.
#[derive(Debug)]
pub(super) struct QueuedNotification {
    /// The device of the event.
    pub(super) device: DeviceId,
    /// The coalesced triggers.
    pub(super) coalesced: Coalesced,
    /// The event's payload as stored in the log.
    pub(super) shown: NotificationEvent,
}

/// Stores notifications and the new log position, which it returns; then queues them for their executors.
/// Notifications older than `fresh_ms` lose the actions that alert people.
pub(super) async fn record(
    notify: &Notifications,
    device: &DeviceId,
    name: &str,
    coalesced: Vec<Coalesced>,
    safe: i64,
) -> Result<i64, ServiceError> {
    let now = notify.clock.now();
    let made: Vec<QueuedNotification> = coalesced
        .into_iter()
        .map(|mut coalesced| {
            if is_old(notify, &coalesced, now) {
                coalesced.case.decision = coalesced.case.decision.without_alerts();
            }
            QueuedNotification {
                shown: shown(notify, device, name, &coalesced),
                device: device.clone(),
                coalesced,
            }
        })
        .collect();
    let (id, rows) = (device.clone(), made.iter().map(|handed| row(handed, now)).collect::<Vec<_>>());
    let stored = notify
        .store
        .write_patiently(move |tx| {
            let mut safe = safe;
            for (notification, logged, delivered) in &rows {
                // The device was deleted in the meantime.
                if tx.device(&id)?.is_none() {
                    break;
                }
                tx.put_notification(&id, notification)?;
                if !logged {
                    continue;
                }
                let event = Event::Notification(notification.shown.clone());
                let seq = match delivered {
                    true => tx.append(&id, &event, now)?,
                    false => tx.append_undelivered(&id, &event, now)?.0,
                };
                // The watcher skips the `notification` events that this transaction appends.
                safe = if seq == safe + 1 { seq } else { safe };
            }
            tx.set_notify_position(&id, safe)?;
            Ok::<_, ServiceError>(safe)
        })
        .await?;
    for handed in made {
        notify.metrics.notified(handed.coalesced.case.happening.kind.as_str());
        if is_old(notify, &handed.coalesced, now) {
            notify.metrics.notify_effect("any", "old");
        }
        notify.enqueue(&Arc::new(handed));
    }
    Ok(stored)
}

fn is_old(notify: &Notifications, coalesced: &Coalesced, now: Millis) -> bool {
    now.since(coalesced.case.happening.at) > notify.state.fresh_ms
}

fn row(handed: &QueuedNotification, now: Millis) -> (Notification, bool, bool) {
    let Coalesced { burst, last_seq, case, .. } = &handed.coalesced;
    let asks = |action| case.decision.conditions(action);
    let notification =
        Notification { shown: handed.shown.clone(), burst: burst.clone(), last_seq: *last_seq, at: now };
    (notification, asks(Action::Dashboard) || asks(Action::Webhook), asks(Action::Webhook))
}

fn shown(notify: &Notifications, device: &DeviceId, name: &str, coalesced: &Coalesced) -> NotificationEvent {
    let case = &coalesced.case;
    let (title, body) = text::of(&case.happening, name, case.chat_name.as_deref(), coalesced.count);
    let sound = case.decision.sound.clone();
    NotificationEvent {
        id: format!("{device}-{}", coalesced.first_seq),
        kind: case.happening.kind.as_str().to_owned(),
        priority: case.decision.priority,
        title,
        body,
        sound_url: sound.as_deref().map(|sound| notify.sound_url(sound)),
        sound,
        chat_id: (case.happening.kind != Kind::Summary).then(|| case.happening.chat.clone()).flatten(),
        count: coalesced.count,
    }
}
