//! `[effects.*]`: notifications outside the dashboard. All of them are optional.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Switch;

/// `[effects]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EffectSettings {
    /// Desktop notifications.
    pub desktop: DesktopSettings,
    /// Sounds of notifications.
    pub sound: SoundSettings,
    /// Commands of notification rules.
    pub command: CommandSettings,
    /// Web Push.
    pub push: PushSettings,
}

/// `[effects.desktop]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DesktopSettings {
    /// Whether notifications are shown; `auto` requires a desktop.
    pub enabled: Switch,
    /// Maximum notifications that can still be replaced and answered.
    pub max_kept: usize,
    /// Maximum notifications in the queue.
    pub max_waiting: usize,
}

/// `[effects.sound]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SoundSettings {
    /// Whether sounds are played; `auto` requires a sound server.
    pub enabled: Switch,
    /// The sound server's name of the output device, or empty.
    pub device: String,
    /// Volume in percent of the file's volume.
    pub volume: u32,
    /// Directory of the user's sounds, or empty.
    pub dir: PathBuf,
    /// Maximum concurrent sounds.
    pub max_at_once: usize,
    /// Milliseconds before the same sound is played again.
    pub pause_ms: u64,
    /// Milliseconds after which a sound is stopped.
    pub max_ms: u64,
}

/// `[effects.command]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// Whether commands are run.
    pub enabled: bool,
    /// Maximum concurrent commands.
    pub max_running: usize,
    /// Maximum commands in the queue.
    pub max_waiting: usize,
    /// Time limit of a command, in milliseconds.
    pub timeout_ms: u64,
    /// Maximum bytes of output that are logged.
    pub output_bytes: usize,
    /// Additional environment variables that commands inherit from the daemon.
    pub pass_env: Vec<String>,
}

/// `[effects.push]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PushSettings {
    /// Whether pushes are sent.
    pub enabled: bool,
    /// Contact for push services: `mailto:…`, `https://…`, or empty.
    pub contact: String,
}

impl Switch {
    /// Whether the feature is enabled; the environment may still not support it.
    #[must_use]
    pub fn may(self) -> bool {
        self != Self::Off
    }
}
