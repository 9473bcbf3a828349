//! The dialects: wire formats of existing clients, which share all rules.

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
