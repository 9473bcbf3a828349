//! Builds the environment of a command: common variables, those that the operator permits, and `WHARF_*`.
//! Secrets of the daemon are never passed.

use std::ffi::OsString;

use crate::effects::EffectError;

/// Common variables, copied from the daemon's environment. None is a secret.
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
/// Prefix of the daemon's own settings and keys, and of the variables for commands.
const OURS: &str = "WHARF_";
/// Limit in bytes of one value; Linux permits 128 KiB for one variable.
const MAX_VALUE: usize = 32 * 1024;
const MAX_VARIABLES: usize = 64;

/// Variables copied from the daemon's environment: the common ones, `LC_*`, and those in `pass`, but never
/// `WHARF_*`.
pub(super) fn of(
    all: impl Iterator<Item = (OsString, OsString)>,
    pass: &[String],
) -> impl Iterator<Item = (OsString, OsString)> {
    all.filter(move |(name, _)| {
        let Some(name) = name.to_str() else { return false };
        let is_passed =
            USUAL.contains(&name) || name.starts_with("LC_") || pass.iter().any(|passed| passed == name);
        is_passed && !name.starts_with(OURS)
    })
}

/// Variables for the command. Zero bytes are removed from values, and long values are cut.
///
/// # Errors
/// [`EffectError::Invalid`] for an invalid name or too many variables.
pub(super) fn own(variables: &[(String, String)]) -> Result<Vec<(String, String)>, EffectError> {
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if variables.len() > MAX_VARIABLES {
        return Err(EffectError::Invalid(format!("a command takes at most {MAX_VARIABLES} variables")));
    }
    if let Some((name, _)) = variables.iter().find(|(name, _)| !name.starts_with(OURS) || !plain(name)) {
        return Err(EffectError::Invalid(format!("{name:?} is not a valid name such as WHARF_EVENT")));
    }
    Ok(variables.iter().map(|(name, value)| (name.clone(), cut(value))).collect())
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
        let variables = own(&[("WHARF_TEXT".to_owned(), long)]).unwrap();
        assert!(variables[0].1.starts_with("abé") && variables[0].1.len() <= MAX_VALUE);
        assert!(own(&[("PATH".to_owned(), String::new())]).is_err());
        assert!(own(&[("WHARF_A=B".to_owned(), String::new())]).is_err());
    }
}
