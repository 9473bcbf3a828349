//! The environment of a command: what it needs to find its way about, what the operator lets through, and ours. Pure.

use std::ffi::OsString;

use crate::effects::EffectError;

/// What programs need, of the daemon's environment. None of it is a secret.
const USUAL: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "TERM",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "PULSE_SERVER",
];
/// The daemon's own settings and keys begin with it, and so does what commands are told.
const OURS: &str = "WHARF_";
/// Bytes of one value: Linux starts nothing with a longer one than 128 KiB.
const MAX_VALUE: usize = 32 * 1024;
const MAX_VARIABLES: usize = 64;

/// What goes on from the daemon's environment: the usual, `LC_*`, and what is named in `pass`, but never `WHARF_*`.
pub(super) fn of(
    all: impl Iterator<Item = (OsString, OsString)>,
    pass: &[String],
) -> impl Iterator<Item = (OsString, OsString)> {
    all.filter(move |(name, _)| {
        let Some(name) = name.to_str() else { return false };
        let known =
            USUAL.contains(&name) || name.starts_with("LC_") || pass.iter().any(|passed| passed == name);
        known && !name.starts_with(OURS)
    })
}

/// What the command is told: values without zero bytes, which no variable can have, and not too long.
///
/// # Errors
/// [`EffectError::Invalid`] for a name that is none of ours, or too many.
pub(super) fn own(told: &[(String, String)]) -> Result<Vec<(String, String)>, EffectError> {
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if told.len() > MAX_VARIABLES {
        return Err(EffectError::Invalid(format!("a command is told at most {MAX_VARIABLES} variables")));
    }
    if let Some((name, _)) = told.iter().find(|(name, _)| !name.starts_with(OURS) || !plain(name)) {
        return Err(EffectError::Invalid(format!("{name:?} is no name such as WHARF_EVENT")));
    }
    Ok(told.iter().map(|(name, value)| (name.clone(), cut(value))).collect())
}

fn cut(value: &str) -> String {
    let mut end = value.len().min(MAX_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        all.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn command_environment_has_no_daemon_secrets() {
        let all = pairs(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("WHARF_API_KEY", "k"),
            ("WHARF__STORE__VAULT_KEY", "v"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("MINE", "m"),
        ]);
        let pass = ["MINE", "WHARF_API_KEY"].map(str::to_owned);
        let went: Vec<_> = of(all.into_iter(), &pass).map(|(name, _)| name.into_string().unwrap()).collect();
        assert_eq!(went, ["PATH", "LC_ALL", "MINE"]);
    }

    #[test]
    fn event_values_are_bounded_and_valid_in_environment() {
        let long = format!("a\0b{}", "é".repeat(100_000));
        let told = own(&[("WHARF_TEXT".to_owned(), long)]).unwrap();
        assert!(told[0].1.starts_with("abé") && told[0].1.len() <= MAX_VALUE);
        assert!(own(&[("PATH".to_owned(), String::new())]).is_err());
        assert!(own(&[("WHARF_A=B".to_owned(), String::new())]).is_err());
    }
}
