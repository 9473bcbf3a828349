//! What the session bus and the notification server on it say of themselves.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::effects::sanitize;
use crate::effects::{Availability, EffectError};

const SERVER: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// The longest that the bus and the server may take for one thing.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
pub(super) const SILENT: &str = "the session bus or the notification server on it does not answer";

/// What a notification server can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// Buttons.
    pub actions: bool,
    /// Understands markup in the body.
    pub markup: bool,
}

impl Capabilities {
    fn of(words: &[String]) -> Self {
        let has = |word: &str| words.iter().any(|known| known == word);
        Self { actions: has("actions"), markup: has("body-markup") }
    }
}

/// Asks the server what it can do.
///
/// # Errors
/// One sentence that says why it cannot be asked.
pub(super) async fn capabilities() -> Result<Capabilities, String> {
    // What shows notifications takes our program's name, and panics where there is none.
    let program = std::env::current_exe();
    if !program.is_ok_and(|path| path.file_name().is_some_and(|name| name.to_str().is_some())) {
        return Err("this process does not know its own program's name; is /proc missing?".to_owned());
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

/// Whether notifications can be shown by the server of this session. At most 2 s.
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

/// A sentence for what a bus answered.
pub(super) fn explained(error: &str) -> String {
    let nobody = ["ServiceUnknown", "was not provided by any", "not activatable", "NameHasNoOwner"];
    if nobody.iter().any(|sign| error.contains(sign)) {
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
        let nobody = "org.freedesktop.DBus.Error.ServiceUnknown: The name is not activatable";
        assert_eq!(explained(nobody), "no notification server runs on the session bus");
        assert_eq!(explained("I/O\nerror"), "the session bus cannot be used: I/O error");
    }
}
