//! Export and import of chats. Both stream; a chat is never held whole in memory.

pub(super) mod export;
pub(super) mod import;
