//! What can be wrong with an engine and its sessions.

use thiserror::Error;

use super::VaultError;

/// A device's setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct SettingError {
    /// Its path, such as `settings.simulator.ackServerMs`.
    pub field: String,
    /// What is wrong and what is right.
    pub message: String,
}

/// A session could not be set up.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A setting cannot be.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Anything of the engine's own.
    #[error("the engine could not be set up")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A request to a session could not be served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// Not connected.
    #[error("the device is not connected to its network")]
    Offline,
    /// This engine cannot.
    #[error("this device's engine does not support that")]
    NotSupported,
    /// The network refused; its words are for whoever asked. They are in no log, as they may repeat what was asked.
    #[error("the network refused")]
    Refused(String),
    /// The account is not in that group, or there is none.
    #[error("the network refused: the account is not in this group")]
    NotInGroup,
}

/// A control request could not be served.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    /// This engine has no such thing, or is disabled.
    #[error("there is no such call")]
    NotFound,
    /// The body is not what the call takes.
    #[error("{field}: {message}")]
    Invalid {
        /// Which field.
        field: String,
        /// What is wrong and what is right.
        message: String,
    },
    /// Understood, but impossible now.
    #[error("{message}")]
    Impossible {
        /// Stable, snake_case.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// A later version will do it.
    #[error("{0} is not built yet")]
    NotBuilt(&'static str),
    /// The signature is missing or wrong.
    #[error("the signature is missing or wrong")]
    Unauthorized,
    /// The engine's own storage failed.
    #[error("the engine could not store it")]
    Storage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_network_said_is_in_no_sentence_for_a_log() {
        let refused = SessionError::Refused("chat of 15550100001 said: hello".to_owned());
        assert_eq!(refused.to_string(), "the network refused");
    }
}
