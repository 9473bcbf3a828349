//! Simulations of the outbox over whole days.
//!
//! Results are checked by counting, without the code under test.

mod simulated_day;
