//! Simulations over whole days of the outbox.

mod simulated_day;
