//! What people are told with, from the settings.

use std::path::PathBuf;

use super::api_config;
use crate::domain::outbox::QuietHours;
use crate::effects::command::{CommandConfig, Commands};
use crate::effects::desktop::{Desktop, DesktopConfig};
use crate::effects::sound::{Speaker, SpeakerConfig};
use crate::service::NotifyParts;
use crate::service::notify::NamedCommand;
use crate::settings::{NotifySettings, Settings};

/// Notifications of the desktop whose buttons are listened to.
const MAX_KEPT: usize = 64;
/// Notifications that may wait for the desktop, besides those that wait here.
const MAX_WAITING: usize = 8;
/// Sounds at once.
const SOUNDS_AT_ONCE: usize = 2;
/// Milliseconds until the same sound is played again.
const SOUND_PAUSE_MS: u64 = 1_000;
/// Milliseconds after which a sound is cut.
const SOUND_MAX_MS: u64 = 10_000;

pub(super) fn parts(settings: &Settings) -> NotifyParts {
    let notify = &settings.notify;
    let sounds_dir = Some(notify.sounds_dir.clone()).filter(|dir| !dir.as_os_str().is_empty());
    let commands = notify.commands.iter().map(|command| {
        let timeout_ms = command.timeout_ms.unwrap_or(notify.command_timeout_ms);
        (command.name.clone(), NamedCommand { run: command.run.clone(), timeout_ms })
    });
    NotifyParts {
        enabled: notify.enabled,
        defaults: notify.defaults,
        rules: notify.rule_specs(),
        commands: commands.collect(),
        quiet_hours: quiet_hours(notify),
        per_minute: notify.per_minute,
        fresh_ms: i64::try_from(notify.fresh_ms).unwrap_or(i64::MAX),
        commands_at_once: notify.commands_at_once,
        desktop: Desktop::new(DesktopConfig {
            enabled: notify.desktop,
            app_name: "Wharf".to_owned(),
            icon: icon(settings),
            max_kept: MAX_KEPT,
            max_waiting: MAX_WAITING,
        }),
        speaker: Speaker::new(SpeakerConfig {
            enabled: notify.sound,
            device: Some(notify.sound_device.clone()).filter(|device| !device.is_empty()),
            volume: f32::from(notify.sound_volume) / 100.0,
            sounds_dir: sounds_dir.clone(),
            max_at_once: SOUNDS_AT_ONCE,
            pause_ms: SOUND_PAUSE_MS,
            max_ms: SOUND_MAX_MS,
        }),
        sounds_dir,
        runner: Commands::new(CommandConfig {
            enabled: !notify.commands.is_empty(),
            // One more, so that trying one out does not take the place of another.
            max_running: notify.commands_at_once.saturating_add(1),
            output_limit: notify.command_output_bytes,
            pass_env: notify.command_env.clone(),
        }),
        push_http: api_config::guarded_client(settings, &[]),
        push_contact: push_contact(settings),
    }
}

/// Where the desktop's server finds it.
fn icon(settings: &Settings) -> PathBuf {
    settings.store.data_dir.join("wharf.png")
}

fn push_contact(settings: &Settings) -> String {
    match (settings.notify.push_contact.as_str(), settings.server.public_url.as_str()) {
        ("", url) if url.starts_with("https://") => url.to_owned(),
        ("", _) => "mailto:wharf@localhost".to_owned(),
        (contact, _) => contact.to_owned(),
    }
}

/// Checked with the settings: both ends are given, or neither.
fn quiet_hours(notify: &NotifySettings) -> Option<QuietHours> {
    let (from, to) = (notify.quiet_from.parse().ok()?, notify.quiet_to.parse().ok()?);
    QuietHours::new(from, to, notify.time_zone.clone()).ok()
}
