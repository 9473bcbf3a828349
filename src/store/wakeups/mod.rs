//! Wake-ups: in-memory hints that work may exist. The tables are the truth; every waiter also polls them.

pub(super) mod all_logs;
pub(super) mod dirty_endpoints;
pub(super) mod dirty_logs;
pub(super) mod log_heads;
