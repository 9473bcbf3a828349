//! Notification rules: conditions and actions. The conditions of a rule are combined with a logical AND.

use std::fmt;

use serde::Serialize;

use super::{Kind, Pattern, Priority, Trigger};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::outbox::{QuietHours, TimeOfDay, Zone};
use crate::domain::slug::made_id;
use crate::domain::webhook::RetryDelay;

/// An action of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The event `notification` in the device's log, shown by dashboards.
    Dashboard,
    /// A notification on the desktop of the daemon's machine.
    Desktop,
    /// A sound through the loudspeaker of the daemon's machine.
    Sound,
    /// A command of the settings.
    Command,
    /// The event `notification` is delivered to the webhooks that subscribe to it.
    Webhook,
    /// Web push to subscribed browsers.
    Push,
}

impl Action {
    /// All actions with their names.
    pub const ALL: [(&str, Self); 6] = [
        ("dashboard", Self::Dashboard),
        ("desktop", Self::Desktop),
        ("sound", Self::Sound),
        ("command", Self::Command),
        ("webhook", Self::Webhook),
        ("push", Self::Push),
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, action)| *action == self).map_or("", |(word, _)| word)
    }

    /// Whether it runs on the daemon's machine; such actions need a key for all devices.
    #[must_use]
    pub fn runs_locally(self) -> bool {
        matches!(self, Self::Desktop | Self::Sound | Self::Command)
    }

    /// Whether it alerts people; such actions are suppressed in quiet hours.
    #[must_use]
    pub fn is_intrusive(self) -> bool {
        matches!(self, Self::Desktop | Self::Sound | Self::Push)
    }
}

/// Group chats or chats with one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// Group chats.
    Group,
    /// Chats with one person.
    Person,
}

/// A daily period in a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hours {
    /// Start, inclusive.
    #[serde(serialize_with = "as_text")]
    pub from: TimeOfDay,
    /// End, exclusive; the next day if it is before the start.
    #[serde(serialize_with = "as_text")]
    pub to: TimeOfDay,
    /// The time zone.
    pub time_zone: Zone,
}

impl Hours {
    /// Whether a time lies in the period.
    #[must_use]
    pub fn hold(&self, at: Millis) -> bool {
        QuietHours::new(self.from, self.to, self.time_zone.clone()).is_ok_and(|hours| hours.is_quiet(at))
    }
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Conditions of a rule. An absent or empty condition always matches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Names of kinds, or prefixes that end with `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The device is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceId>,
    /// The chat is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chats: Vec<Jid>,
    /// The sender or caller is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Jid>,
    /// The chat is a group, or is not.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub within: Option<ChatKind>,
    /// The text matches this [`Pattern`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Our account is mentioned, or is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mention: Option<bool>,
    /// The time lies in this period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// The priority is at least this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
}

/// A rule as configured. [`RuleSpec::read`] parses and validates it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSpec {
    /// Display name.
    pub name: String,
    /// Whether the rule is evaluated.
    pub enabled: bool,
    /// The conditions.
    #[serde(rename = "match")]
    pub matches: Match,
    /// The actions; an empty list suppresses the notification.
    pub actions: Vec<Action>,
    /// Overrides the kind's priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Name of a sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// Volume from 0 to 1, multiplied by the configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<f32>,
    /// Name of a configured command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Later triggers within this time are counted into one notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<RetryDelay>,
    /// Later triggers within this time are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<RetryDelay>,
    /// Whether quiet hours apply.
    pub quiet: bool,
}

made_id! {
    /// Names a rule of the store.
    RuleId = "nr_";
    /// Why a text is no rule's id.
    RuleIdError = "a rule's id has 1 to 64 characters of A-Z, a-z, 0-9, _ and -";
}

/// Origin of a rule, in order of evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleOrigin {
    /// The device file.
    File,
    /// Created over REST, for one device or for all.
    Api,
    /// The daemon's settings.
    Settings,
    /// The built-in defaults.
    Default,
}

/// A rule with its id, scope and origin.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its id; rules of files, settings and defaults have one too.
    pub id: RuleId,
    /// The device to which it applies; all devices, when absent.
    pub device: Option<DeviceId>,
    /// Its origin.
    pub origin: RuleOrigin,
    /// Its conditions and actions.
    pub spec: RuleSpec,
    text: Option<Pattern>,
}

impl Rule {
    /// Adds an id, a scope and an origin to a specification.
    #[must_use]
    pub fn new(id: RuleId, device: Option<DeviceId>, origin: RuleOrigin, spec: RuleSpec) -> Self {
        let text = spec.matches.text.as_deref().map(Pattern::new);
        Self { id, device, origin, spec, text }
    }

    /// Whether the rule applies to a trigger.
    #[must_use]
    pub fn matches(&self, device: &DeviceId, happening: &Trigger, now: Millis) -> bool {
        let wanted = &self.spec.matches;
        let among =
            |list: &[Jid], one: Option<&Jid>| list.is_empty() || one.is_some_and(|one| list.contains(one));
        self.spec.enabled
            && self.device.as_ref().is_none_or(|own| own == device)
            && (wanted.events.is_empty() || wanted.events.iter().any(|name| mentions(name, happening.kind)))
            && (wanted.devices.is_empty() || wanted.devices.contains(device))
            && among(&wanted.chats, happening.chat.as_ref())
            && among(&wanted.people, happening.person.as_ref())
            && wanted.within.is_none_or(|within| {
                happening.chat.is_some() && (within == ChatKind::Group) == happening.is_group
            })
            && wanted.mention.is_none_or(|mention| mention == happening.mention)
            && wanted.priority.is_none_or(|least| happening.priority() >= least)
            && wanted.hours.as_ref().is_none_or(|hours| hours.hold(now))
            && self.text.as_ref().is_none_or(|pattern| pattern.matches(happening.text()))
    }
}

/// Whether a name or prefix of a rule includes this kind.
pub(super) fn mentions(word: &str, kind: Kind) -> bool {
    match word.strip_suffix('*') {
        Some(start) => kind.as_str().starts_with(start),
        None => kind.as_str() == word,
    }
}
