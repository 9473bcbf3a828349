//! Serves the testbed.
fn main() {}
