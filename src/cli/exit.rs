//! Errors of commands, and the exit codes for scripts.

use std::io;
use std::process::ExitCode;

use thiserror::Error;

use super::client::ClientError;
use crate::qr::QrError;
use crate::settings::SettingsError;

/// Exit codes. They are documented in `wharf --help` and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded.
    Ok,
    /// The daemon answered with an error, or a local operation failed.
    Error,
    /// Wrong usage or invalid configuration. Clap uses the same code.
    Usage,
    /// No server answers at the URL.
    Unreachable,
    /// A missing or invalid key, or a key without the required scope or device (401, 403).
    Unauthorized,
    /// The resource does not exist (404).
    NotFound,
    /// Not possible in the current state (409, 422).
    Conflict,
    /// Rate-limited, overloaded or shutting down (429, 503): the same command may work later.
    Busy,
}

impl Exit {
    /// The numeric code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Unauthorized => 4,
            Self::NotFound => 5,
            Self::Conflict => 6,
            Self::Busy => 7,
        }
    }

    /// The exit code for an HTTP error status.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Unauthorized,
            404 => Self::NotFound,
            409 | 422 => Self::Conflict,
            429 | 503 => Self::Busy,
            _ => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Errors of commands.
#[derive(Debug, Error)]
pub enum CliError {
    /// A request to the daemon failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The configuration is invalid.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The arguments are invalid.
    #[error("{0}")]
    Usage(String),
    /// The state of the device or message does not allow the command.
    #[error("{0}")]
    WrongState(String),
    /// The command failed; the text has the reason.
    #[error("{0}")]
    Failed(String),
    /// The QR code cannot be drawn.
    #[error(transparent)]
    Qr(#[from] QrError),
    /// Standard output or input failed.
    #[error("cannot write or read the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// The failure has been printed; only its exit code is left.
    #[error("failed")]
    Reported(Exit),
}

impl CliError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => error.exit(),
            Self::Settings(_) | Self::Usage(_) => Exit::Usage,
            Self::WrongState(_) => Exit::Conflict,
            Self::Failed(_) | Self::Qr(_) => Exit::Error,
            // A closed pipe (`wharf tail | head`) is not a failure.
            Self::Terminal(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Terminal(_) => Exit::Error,
            Self::Reported(exit) => *exit,
        }
    }

    /// The stable error code for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Client(error) => error.code(),
            Self::Settings(_) => "invalid_configuration",
            Self::Usage(_) => "usage",
            Self::WrongState(_) => "wrong_state",
            Self::Failed(_) | Self::Reported(_) => "failed",
            Self::Qr(_) => "qr_not_drawable",
            Self::Terminal(_) => "terminal",
        }
    }

    /// Advice for the user, if any.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.hint(),
            _ => None,
        }
    }

    /// Whether the error still has to be printed.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Reported(_)) || (matches!(self, Self::Terminal(_)) && self.exit() == Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_statuses_map_to_exit_codes() {
        let codes: Vec<u8> = [400, 401, 403, 404, 409, 413, 422, 429, 500, 503]
            .map(|status| Exit::of_status(status).code())
            .to_vec();
        assert_eq!(codes, [1, 4, 4, 5, 6, 1, 6, 7, 1, 7]);
    }

    #[test]
    fn closed_pipe_is_not_failure() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.exit(), Exit::Ok);
        assert!(error.is_silent());
    }
}
