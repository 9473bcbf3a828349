//! Queries the session bus and its notification server. Every call has a time limit of two seconds.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::effects::sanitize;
use crate::effects::{Availability, EffectError};

const SERVER: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// Time limit of one call to the bus or the server.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
pub(super) const SILENT: &str = "the session bus or the notification server on it does not answer";

/// Capabilities of a notification server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// Supports buttons.
    pub actions: bool,
    /// Supports markup in the body.
    pub markup: bool,
}

impl Capabilities {
    fn of(words: &[String]) -> Self {
        let has = |word: &str| words.iter().any(|capability| capability == word);
        Self { actions: has("actions"), markup: has("body-markup") }
    }
}

/// Queries the server's capabilities.
///
/// # Errors
/// The reason in one sentence.
pub(super) async fn capabilities() -> Result<Capabilities, String> {
    // The notification library uses the program's name and panics if there is none.
    let program = std::env::current_exe();
    if !program.is_ok_and(|path| path.file_name().is_some_and(|name| name.to_str().is_some())) {
        return Err("the name of this program cannot be read; is /proc missing?".to_owned());
    }
    if !has_bus(
        std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some(),
        std::env::var_os("XDG_RUNTIME_DIR").as_deref(),
    ) {
        return Err("there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set, and there is no $XDG_RUNTIME_DIR/bus".to_owned());
    }
    match timeout(PATIENCE, ask()).await {
        Err(_) => Err(SILENT.to_owned()),
        Ok(Ok(words)) => Ok(Capabilities::of(&words)),
        Ok(Err(error)) => Err(explained(&error.to_string())),
    }
}

/// Whether the session has a notification server. At most 2 s.
pub async fn probe() -> Availability {
    capabilities().await.map_or_else(Availability::Off, |_| Availability::On)
}

async fn ask() -> zbus::Result<Vec<String>> {
    let connection = zbus::Connection::session().await?;
    connection
        .call_method(Some(SERVER), PATH, Some(SERVER), "GetCapabilities", &())
        .await?
        .body()
        .deserialize()
}

/// Closes a notification by its number. At most 2 s.
///
/// # Errors
/// [`EffectError::Timeout`] or [`EffectError::Failed`].
pub(super) async fn close(id: u32) -> Result<(), EffectError> {
    let closing = async {
        let connection = zbus::Connection::session().await?;
        connection.call_method(Some(SERVER), PATH, Some(SERVER), "CloseNotification", &id).await.map(drop)
    };
    let closed = timeout(PATIENCE, closing).await.map_err(|_| EffectError::Timeout)?;
    closed.map_err(|error: zbus::Error| EffectError::Failed(explained(&error.to_string())))
}

fn has_bus(address: bool, runtime_dir: Option<&std::ffi::OsStr>) -> bool {
    address || runtime_dir.is_some_and(|dir| Path::new(dir).join("bus").exists())
}

/// Converts an error of the bus into a sentence.
pub(super) fn explained(error: &str) -> String {
    let no_server = ["ServiceUnknown", "was not provided by any", "not activatable", "NameHasNoOwner"];
    if no_server.iter().any(|sign| error.contains(sign)) {
        return "no notification server runs on the session bus".to_owned();
    }
    format!("the session bus cannot be used: {}", sanitize::line(error, 200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_bus_is_found_by_address_or_socket() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_bus(false, Some(dir.path().as_os_str())) && !has_bus(false, None));
        std::fs::write(dir.path().join("bus"), "").unwrap();
        assert!(has_bus(false, Some(dir.path().as_os_str())) && has_bus(true, None));
    }

    #[test]
    fn server_capabilities_are_parsed() {
        let words = ["body", "actions"].map(str::to_owned);
        assert_eq!(Capabilities::of(&words), Capabilities { actions: true, markup: false });
    }

    #[test]
    fn missing_server_differs_from_missing_bus() {
        let no_server = "org.freedesktop.DBus.Error.ServiceUnknown: The name is not activatable";
        assert_eq!(explained(no_server), "no notification server runs on the session bus");
        assert_eq!(explained("I/O\nerror"), "the session bus cannot be used: I/O error");
    }
}
