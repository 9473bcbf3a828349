//! Builds the effects of notifications from the settings.

use super::{api_config, effects};
use crate::domain::outbox::QuietHours;
use crate::service::NotifyParts;
use crate::service::notify::NamedCommand;
use crate::settings::{NotifySettings, Settings};

pub(super) fn parts(settings: &Settings) -> NotifyParts {
    let (notify, command) = (&settings.notify, &settings.effects.command);
    let commands = notify.commands.iter().map(|named| {
        let timeout_ms = named.timeout_ms.unwrap_or(command.timeout_ms);
        (
            named.name.clone(),
            NamedCommand { run: named.run.clone(), timeout_ms, log_output: named.log_output },
        )
    });
    NotifyParts {
        enabled: notify.enabled,
        defaults: notify.defaults,
        rules: notify.rule_specs(),
        commands: commands.collect(),
        quiet_hours: quiet_hours(notify),
        per_minute: notify.per_minute,
        fresh_ms: i64::try_from(notify.fresh_ms).unwrap_or(i64::MAX),
        commands_enabled: command.enabled,
        desktop_waiting: settings.effects.desktop.max_waiting,
        sounds_at_once: settings.effects.sound.max_at_once,
        commands_at_once: command.max_running,
        commands_waiting: command.max_waiting,
        desktop: effects::desktop(settings),
        speaker: effects::speaker(settings),
        sounds_dir: Some(settings.effects.sound.dir.clone()).filter(|dir| !dir.as_os_str().is_empty()),
        runner: effects::commands(settings),
        push_enabled: settings.effects.push.enabled,
        push_http: api_config::guarded_client(settings, &[]),
        push_contact: settings.effects.push.contact.clone(),
    }
}

/// Checked with the settings: both ends are given, or neither.
fn quiet_hours(notify: &NotifySettings) -> Option<QuietHours> {
    let (from, to) = (notify.quiet_from.parse().ok()?, notify.quiet_to.parse().ok()?);
    QuietHours::new(from, to, notify.time_zone.clone()).ok()
}
