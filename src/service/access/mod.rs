//! API keys and access tokens. Keys are stored as hashes only.

pub mod keys;
pub mod tokens;
