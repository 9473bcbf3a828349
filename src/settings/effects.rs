//! `[effects.*]`: notifications outside of a dashboard. All of them are optional.

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
    /// Whether they are shown; `auto` shows them if there is a desktop.
    pub enabled: Switch,
    /// Most notifications that can still be replaced and answered.
    pub max_kept: usize,
    /// Most notifications that wait to be shown.
    pub max_waiting: usize,
}

/// `[effects.sound]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SoundSettings {
    /// Whether they are played; `auto` plays them if there is a sound server.
    pub enabled: Switch,
    /// The sound server's name of an output, or empty.
    pub device: String,
    /// Volume in percent of the file's.
    pub volume: u32,
    /// Directory of the user's sounds, or empty.
    pub dir: PathBuf,
    /// Most sounds at once.
    pub max_at_once: usize,
    /// Milliseconds until the same sound is played again.
    pub pause_ms: u64,
    /// Milliseconds after which a sound is stopped.
    pub max_ms: u64,
}

/// `[effects.command]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// Whether they are run.
    pub enabled: bool,
    /// Most commands at once.
    pub max_running: usize,
    /// Most commands that wait for a running one to end.
    pub max_waiting: usize,
    /// Time limit of a command, in milliseconds.
    pub timeout_ms: u64,
    /// Bytes of output that are kept.
    pub output_bytes: usize,
    /// Additional environment variables that commands inherit from the daemon.
    pub pass_env: Vec<String>,
}

/// `[effects.push]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PushSettings {
    /// Whether they are sent.
    pub enabled: bool,
    /// Contact for push services: `mailto:…`, `https://…`, or empty.
    pub contact: String,
}

impl Switch {
    /// Whether the feature is tried; the environment may still not support it.
    #[must_use]
    pub fn may(self) -> bool {
        self != Self::Off
    }
}
