//! Notifications: what is told to people, when, and in which words.
//!
//! - [`Happening`] is what an event means to people; most events mean nothing ([`Happening::of`]).
//! - [`Rule`]s say what becomes of it; the first that matches decides ([`decide`]). [`defaults`] are those of the binary.
//! - [`Gate`] lets the first of many through, and counts the others into one.
//! - [`words`] makes titles and bodies, inert and bounded whatever a sender wrote.
//!
//! Invariants: nothing here does IO or has a clock; no text of a sender reaches a title or a body with control
//! characters, line ends or marks that turn the direction of writing.

mod coalescer;
pub mod default_rules;
mod evaluate;
mod kind;
mod marks;
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
