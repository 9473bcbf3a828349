//! Notifications on the operator's desktop.

use std::path::PathBuf;

use super::{Availability, EffectError};
use crate::domain::notify::Priority;

/// How notifications are shown.
#[derive(Debug, Clone)]
pub struct DesktopConfig {
    /// Whether any are.
    pub enabled: bool,
    /// Whose they are.
    pub app_name: String,
    /// The icon's file; written there if it is not.
    pub icon: PathBuf,
    /// Notifications whose buttons are listened to, and which can be replaced; the oldest is forgotten.
    pub max_kept: usize,
    /// Notifications that may wait to be shown.
    pub max_waiting: usize,
}

/// A notification. Its texts may hold anything: they are made inert here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// One of the same tag replaces the earlier one.
    pub tag: String,
    /// The first line.
    pub title: String,
    /// The rest.
    pub body: String,
    /// How much it matters.
    pub urgency: Priority,
    /// Buttons: id and label. Left out where the server has none.
    pub actions: Vec<(String, String)>,
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The server's number for it.
    pub id: u32,
    /// Whether an earlier one of the tag gave way.
    pub replaced: bool,
}

/// A button was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesktopAnswer {
    /// Of which notification.
    pub tag: String,
    /// The button's id.
    pub action: String,
}

/// The desktop. Clones are the same.
#[derive(Debug, Clone)]
pub struct Desktop(());

/// What comes back from the desktop.
#[derive(Debug)]
pub struct DesktopAnswers(());

impl DesktopAnswers {
    /// The next button that is pressed; `None` when no [`Desktop`] is left. Buttons are listened to while this is
    /// awaited. May be dropped at any point without losing an answer.
    pub async fn recv(&mut self) -> Option<DesktopAnswer> {
        std::future::pending().await
    }
}

impl Desktop {
    /// Connects nothing yet.
    #[must_use]
    pub fn new(_config: DesktopConfig) -> (Self, DesktopAnswers) {
        (Self(()), DesktopAnswers(()))
    }

    /// Whether notifications can be shown now. At most 2 s.
    pub async fn probe(&self) -> Availability {
        Availability::Off("not built yet".to_owned())
    }

    /// Shows a notification. At most 2 s, and as long for each that waits before it.
    ///
    /// # Errors
    /// [`EffectError::Off`], [`EffectError::Busy`], [`EffectError::Timeout`] or [`EffectError::Failed`].
    pub async fn show(&self, _notice: Notice) -> Result<Shown, EffectError> {
        Err(EffectError::Off("not built yet".to_owned()))
    }
}
