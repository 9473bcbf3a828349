//! Notifications: what is told to people, when, and in which words.
//!
//! - [`Happening`] is what an event means to people; most events mean nothing ([`Happening::of`]).
//! - [`Rule`]s say what becomes of it; the first that matches decides ([`decide`]). [`defaults`] are those of the binary.
//! - [`Gate`] lets the first of many through, and counts the others into one.
//! - [`words`] makes titles and bodies, inert and bounded whatever a sender wrote.
//!
//! Invariants: nothing here does IO or has a clock; no text of a sender reaches a title or a body with control
//! characters, line ends or marks that turn the direction of writing.

mod decide;
pub mod defaults;
mod gate;
mod happening;
mod kind;
mod marks;
mod operator;
mod pattern;
mod priority;
mod read_rule;
mod rule;
mod sound;
pub mod words;

pub use decide::{Decision, decide};
pub use gate::{Case, Gate, Limits, Told};
pub use happening::{About, Happening};
pub use kind::Kind;
pub use operator::OperatorId;
pub use pattern::Pattern;
pub use priority::Priority;
pub use read_rule::RuleError;
pub use rule::{Action, ChatKind, Hours, Match, Rule, RuleId, RuleOrigin, RuleSpec};
pub use sound::{has_sound_ending, is_sound_name, sound_files};
