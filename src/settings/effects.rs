//! `[effects.*]`: what reaches people outside of a dashboard.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Switch;

/// `[effects]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EffectSettings {
    /// Desktop notifications.
    pub desktop: DesktopSettings,
    /// Sounds.
    pub sound: SoundSettings,
    /// Commands.
    pub command: CommandSettings,
    /// Web Push.
    pub push: PushSettings,
}

/// `[effects.desktop]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DesktopSettings {
    /// Whether any are shown; `auto` is where there is a desktop.
    pub enabled: Switch,
    /// Notifications that can be replaced and answered.
    pub max_kept: usize,
    /// Notifications that may wait to be shown.
    pub max_waiting: usize,
}

/// `[effects.sound]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SoundSettings {
    /// Whether any are played; `auto` is where there is a sound server.
    pub enabled: Switch,
    /// The sound server's name of an output, or empty.
    pub device: String,
    /// Percent of the loudness in the file.
    pub volume: u32,
    /// Directory of the user's sounds, or empty.
    pub dir: PathBuf,
    /// Sounds at once.
    pub max_at_once: usize,
    /// Milliseconds until the same sound is played again.
    pub pause_ms: u64,
    /// Milliseconds after which a sound is cut.
    pub max_ms: u64,
}

/// `[effects.command]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// Whether any are run.
    pub enabled: bool,
    /// Commands at once.
    pub max_running: usize,
    /// Commands that may wait for one of them to end.
    pub max_waiting: usize,
    /// Milliseconds that a command may take.
    pub timeout_ms: u64,
    /// Bytes of output that are kept.
    pub output_bytes: usize,
    /// Variables of the daemon's that commands get besides the usual ones.
    pub pass_env: Vec<String>,
}

/// `[effects.push]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PushSettings {
    /// Whether any are sent.
    pub enabled: bool,
    /// Whom push services write to: `mailto:…`, `https://…`, or empty.
    pub contact: String,
}

impl Switch {
    /// Whether something is to be tried that circumstances may still forbid.
    #[must_use]
    pub fn may(self) -> bool {
        self != Self::Off
    }
}
