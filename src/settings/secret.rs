//! Secret settings, which are never shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};

/// Replaces secret values in output.
pub(super) const MASK: &str = "********";

/// A secret setting. `Debug` and serialisation show a mask, or an empty text if it is unset.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the text. It must not appear in logs, errors or metrics.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the secret is unset.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decodes the text as base64 of 32 bytes.
    pub fn key(&self) -> Option<[u8; 32]> {
        STANDARD.decode(self.0.trim()).ok()?.try_into().ok()
    }

    fn masked(&self) -> &'static str {
        if self.is_empty() { "" } else { MASK }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?})", self.masked())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.masked())
    }
}
