//! x
pub mod collections;
pub mod directory {
    /// x
    pub const NOBODY: &str = "1555019";
}
