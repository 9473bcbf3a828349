//! Checks of `wharf doctor` for notifications: whether this session has a desktop and a sound server.
//!
//! The daemon may run in another session or as another user, with other results.

use super::host::Check;
use crate::effects::{Availability, desktop, sound};
use crate::settings::{Settings, Switch};

/// Runs both checks, without showing or playing anything.
pub(in crate::cli) async fn probe(settings: &Settings) -> Vec<Check> {
    let (desktop, sound) = (&settings.effects.desktop, &settings.effects.sound);
    let device = Some(sound.device.as_str()).filter(|device| !device.is_empty());
    let (of_desktop, of_sound) =
        tokio::join!(found(desktop.enabled, desktop::probe()), found(sound.enabled, sound::probe(device)),);
    vec![
        check(
            "desktop",
            desktop.enabled,
            of_desktop,
            "notifications can be shown",
            "effects.desktop.enabled",
        ),
        check("sound", sound.enabled, of_sound, "sounds can be played", "effects.sound.enabled"),
    ]
}

/// Probes only enabled features.
async fn found(enabled: Switch, look: impl Future<Output = Availability>) -> Option<Availability> {
    if enabled.may() { Some(look.await) } else { None }
}

fn check(name: &'static str, enabled: Switch, found: Option<Availability>, on: &str, key: &str) -> Check {
    match (found, enabled) {
        (None, _) => Check::skip(name, format!("switched off ({key} = false)")),
        (Some(Availability::On), _) => Check::ok(name, format!("{on} in this session")),
        (Some(Availability::Off(why)), Switch::On) => {
            let advice = format!("Run the daemon in the session of a desktop, or set {key} = \"auto\".");
            Check::warn(name, why, advice)
        }
        // Skipped, because most servers have neither.
        (Some(Availability::Off(why)), _) => Check::skip(name, format!("off in this session: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::effects::*;
    use super::super::host::Verdict;

    #[test]
    fn enabled_but_unavailable_effect_is_warning() {
        let off = || Some(Availability::Off("there is no session bus".to_owned()));
        let of = |enabled, found| check("desktop", enabled, found, "notifications can be shown", "k");
        assert_eq!(of(Switch::On, off()).verdict, Verdict::Warn);
        let auto = of(Switch::Auto, off());
        assert_eq!(auto.verdict, Verdict::Skip);
        assert_eq!(auto.found, "off in this session: there is no session bus");
        assert_eq!(of(Switch::Auto, Some(Availability::On)).verdict, Verdict::Ok);
        assert_eq!(of(Switch::Off, None).verdict, Verdict::Skip);
    }
}
