//! Device actors, engine ports and the use cases that create, link and delete devices. One actor alone changes a device's state.

pub mod declared;
pub mod devices;
pub(super) mod driver_requests;
pub(super) mod health;
pub(super) mod pairing;
pub(super) mod ports;
pub(super) mod purge;
pub(super) mod secret_settings;
pub(super) mod stats;
pub(super) mod supervisor;
