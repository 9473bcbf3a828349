//! x
pub mod app_state;
pub mod history;
