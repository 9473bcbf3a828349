//! Errors of engines and sessions.

use thiserror::Error;

use super::VaultError;

/// An invalid setting of a device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct SettingError {
    /// Its path, such as `settings.simulator.ackServerMs`.
    pub field: String,
    /// A sentence with the valid values.
    pub message: String,
}

/// A session could not be created.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Another error of the engine.
    #[error("the engine could not be set up")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A request to a session failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// The session is not connected.
    #[error("the device is not connected to its network")]
    Offline,
    /// The engine does not support the request.
    #[error("this device's engine does not support that")]
    NotSupported,
    /// The network refused, with its reason for the client. The reason is not logged, because it may repeat
    /// the request.
    #[error("the network refused")]
    Refused(String),
    /// The account is not in the group, or the group does not exist.
    #[error("the network refused: the account is not in this group")]
    NotInGroup,
    /// The account must be available to its contacts for that, and its settings do not allow it.
    #[error("the account must be available for that: set settings.whatsapp.presence to auto or available")]
    PresenceUnavailable,
}

/// The file of a message was not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MediaFetchError {
    /// The session is not connected.
    #[error("the device is not connected to its network")]
    Offline,
    /// The engine does not support the request.
    #[error("this device's engine does not support that")]
    NotSupported,
    /// The engine has no description of such a file.
    #[error("the message has no file that can be fetched")]
    NotDescribed,
    /// Neither the network nor the account's phone has the file.
    #[error("the network no longer has the file, and neither has the account's phone")]
    Gone,
    /// The network no longer has the file, and the account's phone did not answer.
    #[error("the network no longer has the file, and the account's phone does not answer")]
    PhoneOffline,
    /// The phone was asked for too many files.
    #[error("the account's phone was asked for too many files; try again later")]
    TooMany,
    /// The network does not serve the file now.
    #[error("the file could not be fetched now; it is tried again in the background")]
    Failed,
}

/// A control request failed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    /// The call does not exist, or is disabled.
    #[error("there is no such call")]
    NotFound,
    /// The body is invalid.
    #[error("{field}: {message}")]
    Invalid {
        /// The invalid field.
        field: String,
        /// A sentence with the valid values.
        message: String,
    },
    /// Valid, but not possible now.
    #[error("{message}")]
    Impossible {
        /// A stable code in `snake_case`.
        code: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// Not implemented yet.
    #[error("{0} is not implemented")]
    NotBuilt(&'static str),
    /// The signature is missing or wrong.
    #[error("the signature is missing or wrong")]
    Unauthorized,
    /// The engine's storage failed.
    #[error("the engine could not store it")]
    Storage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_reason_is_not_logged() {
        let refused = SessionError::Refused("chat of 15550100001 said: hello".to_owned());
        assert_eq!(refused.to_string(), "the network refused");
    }
}
