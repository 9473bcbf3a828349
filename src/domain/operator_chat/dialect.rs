//! The dialects: wire formats of existing clients, which share all rules.

use std::str::FromStr;

use thiserror::Error;

/// A dialect of operator chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Namespace `/` of `/socket.io/`.
    Root,
    /// Namespace `/chat` of `/socket.io/`.
    Namespace,
    /// Namespace `/` of `/api/socket`.
    Underscore,
}

/// A word that is no dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be `root`, `namespace` or `underscore`")]
pub struct UnknownDialect;

impl Dialect {
    /// Its word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Namespace => "namespace",
            Self::Underscore => "underscore",
        }
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(word: &str) -> Result<Self, UnknownDialect> {
        [Self::Root, Self::Namespace, Self::Underscore]
            .into_iter()
            .find(|dialect| dialect.as_str() == word)
            .ok_or(UnknownDialect)
    }
}
