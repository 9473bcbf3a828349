//! Rules: what matches, and what becomes of it.

use std::fmt;

use serde::Serialize;

use super::{Kind, Pattern, Priority, Trigger};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::outbox::{QuietHours, TimeOfDay, Zone};
use crate::domain::slug::made_id;
use crate::domain::webhook::RetryDelay;

/// Something that a rule may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// An event `notification` in the device's log, which dashboards show.
    Dashboard,
    /// A notification on the desktop of the machine.
    Desktop,
    /// A sound through its loudspeaker.
    Sound,
    /// One of the commands that the settings name.
    Command,
    /// The event `notification` calls for deliveries to the webhooks that want it.
    Webhook,
    /// Web push to the browsers that subscribed.
    Push,
}

impl Action {
    /// All there are, with their words.
    pub const ALL: [(&str, Self); 6] = [
        ("dashboard", Self::Dashboard),
        ("desktop", Self::Desktop),
        ("sound", Self::Sound),
        ("command", Self::Command),
        ("webhook", Self::Webhook),
        ("push", Self::Push),
    ];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, action)| *action == self).map_or("", |(word, _)| word)
    }

    /// Whether it happens on the daemon's own machine, which is not for keys of some devices.
    #[must_use]
    pub fn is_of_the_machine(self) -> bool {
        matches!(self, Self::Desktop | Self::Sound | Self::Command)
    }

    /// Whether it disturbs people, which quiet hours forbid.
    #[must_use]
    pub fn is_intrusive(self) -> bool {
        matches!(self, Self::Desktop | Self::Sound | Self::Push)
    }
}

/// Groups, or people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// Chats of several people.
    Group,
    /// Chats with one person.
    Person,
}

/// Hours of the day in a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hours {
    /// From this time of day on.
    #[serde(serialize_with = "as_text")]
    pub from: TimeOfDay,
    /// Up to this one, over midnight where it is the earlier.
    #[serde(serialize_with = "as_text")]
    pub to: TimeOfDay,
    /// Where.
    pub time_zone: Zone,
}

impl Hours {
    /// Whether a clock there shows a time in between.
    #[must_use]
    pub fn hold(&self, at: Millis) -> bool {
        QuietHours::new(self.from, self.to, self.time_zone.clone()).is_ok_and(|hours| hours.is_quiet(at))
    }
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// What a rule asks of a happening. What is absent or empty asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Words of kinds, or beginnings that end with `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Of these devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceId>,
    /// In these chats.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chats: Vec<Jid>,
    /// By these people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Jid>,
    /// In a group, or not.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub within: Option<ChatKind>,
    /// The text is as this [`Pattern`] says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Our account is mentioned, or is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mention: Option<bool>,
    /// It happens at this time of day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// It matters at least so much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
}

/// A rule as people write it. [`RuleSpec::read`] makes one, and says what cannot be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSpec {
    /// What people call it.
    pub name: String,
    /// Whether it counts.
    pub enabled: bool,
    /// What it asks for.
    #[serde(rename = "match")]
    pub matches: Match,
    /// What becomes of what matches. Nothing: it is silent.
    pub actions: Vec<Action>,
    /// How much it matters then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// A sound's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// How loud, on top of the settings: 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<f32>,
    /// The name of a command of the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What follows within this time is counted into one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<RetryDelay>,
    /// What follows within this time is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<RetryDelay>,
    /// Whether it keeps to the quiet hours.
    pub quiet: bool,
}

made_id! {
    /// Names a rule of the store.
    RuleId = "nr_";
    /// Why a text is no rule's id.
    RuleIdError = "a rule's id has 1 to 64 characters of A-Z, a-z, 0-9, _ and -";
}

/// Where a rule comes from; the first are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleOrigin {
    /// The device's file.
    File,
    /// Made over REST, for one device or for all.
    Api,
    /// The settings of the daemon.
    Settings,
    /// The binary.
    Default,
}

/// A rule that can be asked.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its id; those of files, settings and the binary have one too.
    pub id: RuleId,
    /// Whose happenings it is asked of; those of all devices, when absent.
    pub device: Option<DeviceId>,
    /// Where it comes from.
    pub origin: RuleOrigin,
    /// What it says.
    pub spec: RuleSpec,
    text: Option<Pattern>,
}

impl Rule {
    /// Makes a rule ready to be asked.
    #[must_use]
    pub fn new(id: RuleId, device: Option<DeviceId>, origin: RuleOrigin, spec: RuleSpec) -> Self {
        let text = spec.matches.text.as_deref().map(Pattern::new);
        Self { id, device, origin, spec, text }
    }

    /// Whether it decides about this.
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

/// Whether a word of a rule names this kind.
pub(super) fn mentions(word: &str, kind: Kind) -> bool {
    match word.strip_suffix('*') {
        Some(start) => kind.as_str().starts_with(start),
        None => kind.as_str() == word,
    }
}
