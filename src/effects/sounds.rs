//! The sounds that are in the binary.

/// Names of the sounds that are in the binary.
pub const NAMES: [&str; 4] = ["message", "call", "system", "error"];

/// A sound of the binary: its file and its media type.
#[must_use]
pub fn built_in(_name: &str) -> Option<(&'static [u8], &'static str)> {
    None
}
