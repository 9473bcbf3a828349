//! How a command ends: its errors, and the exit codes that scripts can use.

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
    /// The daemon answered with an error, or something failed here.
    Error,
    /// Wrong usage, or a configuration that cannot be used. Clap uses the same number.
    Usage,
    /// No server answers at the URL.
    Unreachable,
    /// No key, a wrong key, or a key without the scope or the device (401, 403).
    Unauthorized,
    /// No such thing (404).
    NotFound,
    /// The wrong moment: wrong state, conflict, understood but impossible (409, 422).
    Conflict,
    /// Rate-limited, overloaded or shutting down (429, 503): the same command may work later.
    Busy,
}

impl Exit {
    /// The number.
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

    /// The exit code for an HTTP status that means failure.
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

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// Between here and the daemon.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The configuration.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// What was typed cannot be done.
    #[error("{0}")]
    Usage(String),
    /// The device or message is not where the command needs it.
    #[error("{0}")]
    WrongState(String),
    /// It did not work; the text says what and why.
    #[error("{0}")]
    Failed(String),
    /// A code that cannot be drawn.
    #[error(transparent)]
    Qr(#[from] QrError),
    /// Standard output or input.
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
            // `wharf tail | head` is no failure.
            Self::Terminal(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Terminal(_) => Exit::Error,
            Self::Reported(exit) => *exit,
        }
    }

    /// The stable word for programs.
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

    /// The remedy, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.hint(),
            _ => None,
        }
    }

    /// Whether there is something left to print.
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
