//! Notifications: which events cause one, when it is emitted, and with which text.
//!
//! - [`Trigger`] is an event that can cause a notification; most events are none ([`Trigger::of`]).
//! - [`Rule`]s decide its actions; the first that matches applies ([`evaluate()`]). [`default_rules`] apply
//!   last.
//! - [`Coalescer`] emits the first trigger of a burst and counts the others into one notification.
//! - [`mod@text`] makes sanitized, bounded titles and bodies.
//!
//! Invariants: this module does no I/O and reads no clock; titles and bodies contain no control characters,
//! line breaks or direction marks from a sender.

mod coalescer;
pub mod default_rules;
mod evaluate;
mod kind;
mod operator;
mod pattern;
mod priority;
mod rule;
mod rule_parser;
mod sound;
pub mod text;
mod trigger;

pub use coalescer::{Candidate, Coalesced, Coalescer, Limits};
pub use evaluate::{Decision, evaluate};
pub use kind::Kind;
pub use operator::OperatorId;
pub use pattern::Pattern;
pub use priority::Priority;
pub use rule::{Action, ChatKind, Hours, Match, Rule, RuleId, RuleOrigin, RuleSpec};
pub use rule_parser::RuleError;
pub use sound::{has_sound_ending, is_sound_name, sound_files};
pub use trigger::{About, Trigger};
