//! The effects, as the settings have them.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::StartError;
use crate::domain::clock::Random;
use crate::effects::command::{CommandConfig, Commands};
use crate::effects::desktop::{Desktop, DesktopAnswers, DesktopConfig};
use crate::effects::push::VapidKey;
use crate::effects::sound::{Speaker, SpeakerConfig};
use crate::settings::Settings;

/// The file of the key that pushes are signed with. Browsers' subscriptions are bound to it.
const VAPID_FILE: &str = "vapid.key";

/// The desktop, and what comes back from it.
pub fn desktop(settings: &Settings) -> (Desktop, DesktopAnswers) {
    let desktop = &settings.effects.desktop;
    let data_dir = &settings.store.data_dir;
    // Notification servers do not know where we are.
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
pub fn speaker(settings: &Settings) -> Speaker {
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

/// Commands.
pub fn commands(settings: &Settings) -> Commands {
    let command = &settings.effects.command;
    Commands::new(CommandConfig {
        enabled: command.enabled,
        max_running: command.max_running,
        max_waiting: command.max_waiting,
        output_limit: command.output_bytes,
        pass_env: command.pass_env.clone(),
    })
}

/// The key that pushes are signed with: made at the first start, and kept in a file that only its owner can read.
///
/// # Errors
/// [`StartError::Setting`] when it can neither be read nor written.
pub fn vapid_key(settings: &Settings, random: &dyn Random) -> Result<VapidKey, StartError> {
    let path = settings.store.data_dir.join(VAPID_FILE);
    let failed = |why: &dyn std::fmt::Display| {
        StartError::Setting(format!("the key of Web Push in {} cannot be used: {why}", path.display()))
    };
    match std::fs::read(&path) {
        Ok(bytes) => VapidKey::from_bytes(&bytes).map_err(|error| failed(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = VapidKey::generate(random).map_err(|error| failed(&error))?;
            write_private(&path, &key.to_bytes()).map_err(|error| failed(&error))?;
            Ok(key)
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Whole or not at all: half a key would be refused for ever.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}
