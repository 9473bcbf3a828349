//! Shows notifications on the operator's desktop over the session bus.
//!
//! Notifications are shown one at a time, so that a later one can replace an earlier one of the same tag.
//! After a timeout, calls fail immediately for a pause.

mod actions;
mod bus;
mod render;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use self::actions::{Open, OpenNotifications};
use self::bus::{Capabilities, PATIENCE, SILENT};
use super::availability_log::AvailabilityLog;
use super::{Availability, EffectError};
use crate::domain::notify::Priority;

pub use self::actions::DesktopActions;
pub use self::bus::probe;

/// Icon of all notifications.
const ICON: &[u8] = include_bytes!("../../../assets/icons/wharf.png");
/// Pause after the bus or the server did not answer.
const REST: Duration = Duration::from_secs(15);
const SWITCHED_OFF: &str = "effects.desktop.enabled is false";

/// Settings of desktop notifications.
#[derive(Debug, Clone)]
pub struct DesktopConfig {
    /// Whether they are enabled.
    pub enabled: bool,
    /// Application name of the notifications.
    pub app_name: String,
    /// Absolute path of the icon; the file is created if it is missing.
    pub icon: PathBuf,
    /// Limit of tracked notifications with buttons and replacement; the oldest is evicted.
    pub max_kept: usize,
    /// Limit of notifications that wait to be shown.
    pub max_waiting: usize,
}

/// A notification. Its texts may be untrusted; they are sanitized here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesktopNotification {
    /// A notification replaces the earlier one of the same tag.
    pub tag: String,
    /// The first line.
    pub title: String,
    /// The body.
    pub body: String,
    /// Its priority.
    pub urgency: Priority,
    /// Buttons: id and label. Omitted if the server does not support them.
    pub actions: Vec<(String, String)>,
}

/// The result of showing a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesktopReceipt {
    /// The number that the server assigned.
    pub id: u32,
    /// Whether it replaced an earlier one.
    pub replaced: bool,
}

/// A press of a button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesktopAction {
    /// Tag of the notification.
    pub tag: String,
    /// The button's id; `default` for the notification itself.
    pub action: String,
}

/// The desktop executor. Clones share its state.
#[derive(Clone)]
pub struct Desktop(Arc<Inner>);

struct Inner {
    config: DesktopConfig,
    /// One permit for each waiting notification and one for the current one.
    places: Semaphore,
    state: Mutex<State>,
    opened: mpsc::Sender<Open>,
    announced: AvailabilityLog,
}

#[derive(Default)]
struct State {
    kept: OpenNotifications,
    /// Capabilities of the server; queried again after a failure.
    can: Option<Capabilities>,
    /// Calls fail until this time.
    rests_until: Option<Instant>,
    icon_is_there: bool,
}

impl Desktop {
    /// Creates the executor without connecting.
    #[must_use]
    pub fn new(config: DesktopConfig) -> (Self, DesktopActions) {
        let (opened, receiver) = mpsc::channel(config.max_kept.max(1));
        let inner = Inner {
            places: Semaphore::new(config.max_waiting.saturating_add(1)),
            config,
            state: Mutex::default(),
            opened,
            announced: AvailabilityLog::new("desktop notifications"),
        };
        (Self(Arc::new(inner)), DesktopActions::new(receiver))
    }

    /// Whether notifications can be shown now. At most 2 s.
    pub async fn probe(&self) -> Availability {
        if !self.0.config.enabled {
            return Availability::Off(SWITCHED_OFF.to_owned());
        }
        let found = probe().await;
        self.0.announced.note(&found);
        found
    }

    /// Shows a notification. At most 4 s, not counting the time in the queue.
    ///
    /// # Errors
    /// [`EffectError::Off`], [`EffectError::Busy`], [`EffectError::Timeout`] or [`EffectError::Failed`].
    pub async fn show(&self, notice: DesktopNotification) -> Result<DesktopReceipt, EffectError> {
        if !self.0.config.enabled {
            return Err(EffectError::Off(SWITCHED_OFF.to_owned()));
        }
        let _place = self.0.places.try_acquire().map_err(|_| EffectError::Busy)?;
        let mut state = self.0.state.lock().await;
        if state.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(EffectError::Off(SILENT.to_owned()));
        }
        let shown = self.0.show(&mut state, &notice).await;
        match &shown {
            Ok(_) => self.0.announced.note(&Availability::On),
            Err(error) => {
                state.can = None;
                state.kept.clear();
                if matches!(error, EffectError::Timeout) {
                    state.rests_until = Some(Instant::now() + REST);
                    self.0.announced.record_unavailable(SILENT);
                } else {
                    self.0.announced.record_unavailable(&error.to_string());
                }
            }
        }
        shown
    }

    /// Closes the notification of a tag; returns whether there was one. At most 2 s, not counting the time in
    /// the queue.
    ///
    /// # Errors
    /// [`EffectError::Timeout`] or [`EffectError::Failed`].
    pub async fn withdraw(&self, tag: &str) -> Result<bool, EffectError> {
        let mut state = self.0.state.lock().await;
        if state.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(EffectError::Timeout);
        }
        let Some(id) = state.kept.take(tag) else { return Ok(false) };
        bus::close(id).await.map(|()| true)
    }
}

impl Inner {
    async fn show(
        &self,
        state: &mut State,
        notice: &DesktopNotification,
    ) -> Result<DesktopReceipt, EffectError> {
        let can = match state.can {
            Some(can) => can,
            None => self.ask(state).await?,
        };
        if !state.icon_is_there {
            state.icon_is_there = place_icon(&self.config.icon).await;
        }
        let icon = state.icon_is_there.then_some(self.config.icon.as_path());
        let replaces = state.kept.number(&notice.tag);
        let notification = render::notification(notice, can, &self.config.app_name, icon, replaces);
        let sent = timeout(PATIENCE, Box::pin(notification.show_async())).await;
        let handle = sent
            .map_err(|_| EffectError::Timeout)?
            .map_err(|error| EffectError::Failed(bus::explained(&error.to_string())))?;
        let id = handle.id();
        let mut listening = None;
        if can.actions && !notice.actions.is_empty() {
            let (sender, until) = oneshot::channel();
            // The send fails when the receiver was dropped or is full; then button presses are ignored.
            if self.opened.try_send(Open { tag: notice.tag.clone(), handle, until }).is_ok() {
                listening = Some(sender);
            }
        }
        state.kept.keep(&notice.tag, id, listening, self.config.max_kept);
        Ok(DesktopReceipt { id, replaced: replaces == Some(id) })
    }

    async fn ask(&self, state: &mut State) -> Result<Capabilities, EffectError> {
        match bus::capabilities().await {
            Ok(can) => {
                state.can = Some(can);
                Ok(can)
            }
            Err(why) if why == SILENT => Err(EffectError::Timeout),
            Err(why) => Err(EffectError::Off(why)),
        }
    }
}

/// Writes the icon's file, because servers load icons by path. On failure, notifications have no icon.
async fn place_icon(path: &Path) -> bool {
    if tokio::fs::read(path).await.is_ok_and(|there| there == ICON) {
        return true;
    }
    if let Some(dir) = path.parent()
        && tokio::fs::create_dir_all(dir).await.is_err()
    {
        return false;
    }
    tokio::fs::write(path, ICON).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desktop(enabled: bool) -> Desktop {
        let icon = PathBuf::from("/nonexistent/wharf.png");
        Desktop::new(DesktopConfig {
            enabled,
            app_name: "Wharf".to_owned(),
            icon,
            max_kept: 2,
            max_waiting: 0,
        })
        .0
    }

    fn notice() -> DesktopNotification {
        DesktopNotification {
            tag: "t".to_owned(),
            title: "Title".to_owned(),
            body: "Body".to_owned(),
            urgency: Priority::Normal,
            actions: Vec::new(),
        }
    }

    #[tokio::test]
    async fn disabled_desktop_does_not_open_bus() {
        let desktop = desktop(false);
        assert_eq!(desktop.probe().await, Availability::Off(SWITCHED_OFF.to_owned()));
        assert!(matches!(desktop.show(notice()).await, Err(EffectError::Off(_))));
    }

    #[tokio::test]
    async fn notifications_above_limit_are_dropped() {
        let desktop = desktop(true);
        let _shown_now = desktop.0.places.try_acquire().unwrap();
        assert!(matches!(desktop.show(notice()).await, Err(EffectError::Busy)));
    }

    #[tokio::test]
    async fn unresponsive_server_is_not_retried_at_once() {
        let desktop = desktop(true);
        desktop.0.state.lock().await.rests_until = Some(Instant::now() + REST);
        let begun = Instant::now();
        assert!(matches!(desktop.show(notice()).await, Err(EffectError::Off(why)) if why == SILENT));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn icon_is_written_once_and_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("icons/wharf.png");
        assert!(place_icon(&path).await);
        std::fs::write(&path, "other").unwrap();
        assert!(place_icon(&path).await);
        assert_eq!(std::fs::read(&path).unwrap(), ICON);
        assert!(!place_icon(Path::new("/proc/nowhere/wharf.png")).await);
    }
}
