//! The effects, as the settings have them.

use crate::effects::command::{CommandConfig, Commands};
use crate::effects::desktop::{Desktop, DesktopActions, DesktopConfig};
use crate::effects::sound::{Speaker, SpeakerConfig};
use crate::settings::Settings;

/// The desktop, and what comes back from it.
pub(super) fn desktop(settings: &Settings) -> (Desktop, DesktopActions) {
    let desktop = &settings.effects.desktop;
    let data_dir = &settings.store.data_dir;
    // Notification servers have another working directory.
    let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone());
    Desktop::new(DesktopConfig {
        enabled: desktop.enabled.may(),
        app_name: "Wharf".to_owned(),
        icon: data_dir.join("icons/wharf.png"),
        max_kept: desktop.max_kept,
        max_waiting: desktop.max_waiting,
    })
}

/// The loudspeaker.
pub(super) fn speaker(settings: &Settings) -> Speaker {
    let sound = &settings.effects.sound;
    let given = !sound.dir.as_os_str().is_empty();
    Speaker::new(SpeakerConfig {
        enabled: sound.enabled.may(),
        device: Some(sound.device.clone()).filter(|device| !device.is_empty()),
        volume: percent(sound.volume),
        sounds_dir: given.then(|| sound.dir.clone()),
        max_at_once: sound.max_at_once,
        pause_ms: sound.pause_ms,
        max_ms: sound.max_ms,
    })
}

#[expect(clippy::cast_precision_loss, reason = "the settings allow at most 400")]
fn percent(volume: u32) -> f32 {
    volume as f32 / 100.0
}

/// Builds the commands of notification rules.
pub(super) fn commands(settings: &Settings) -> Commands {
    let command = &settings.effects.command;
    Commands::new(CommandConfig {
        enabled: command.enabled,
        max_running: command.max_running,
        max_waiting: command.max_waiting,
        output_limit: command.output_bytes,
        pass_env: command.pass_env.clone(),
    })
}
