//! Messages both ways.
