//! Evaluates rules: the first rule that matches a trigger decides its actions.

use super::{About, Action, Priority, Rule, RuleId, Trigger};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::outbox::QuietHours;

/// The decision of a rule about a trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Id of the rule.
    pub id: RuleId,
    /// Name of the rule.
    pub rule: String,
    /// The actions to run.
    pub actions: Vec<Action>,
    /// Priority of the notification.
    pub priority: Priority,
    /// Name of the sound, if one is to be played.
    pub sound: Option<String>,
    /// Volume from 0 to 1, multiplied by the configured one.
    pub volume: f32,
    /// Name of the command, if one is to be run.
    pub command: Option<String>,
    /// Later triggers within this time in milliseconds are counted into one notification.
    pub group_ms: i64,
    /// Later triggers within this time in milliseconds are dropped.
    pub throttle_ms: i64,
    /// Whether quiet hours apply.
    pub respects_quiet_hours: bool,
}

impl Decision {
    /// Whether the decision includes an action.
    #[must_use]
    pub fn conditions(&self, action: Action) -> bool {
        self.actions.contains(&action)
    }

    /// Removes the actions that alert people. Commands remain: they make no noise and may be automation.
    #[must_use]
    pub fn without_alerts(mut self) -> Self {
        self.actions.retain(|action| !action.is_intrusive());
        self.sound = None;
        self
    }

    /// Removes alerting actions if quiet hours apply at this time; for notifications that waited.
    #[must_use]
    pub fn as_of(self, now: Millis, quiet_hours: Option<&QuietHours>) -> Self {
        let quiet = self.respects_quiet_hours && quiet_hours.is_some_and(|hours| hours.is_quiet(now));
        if quiet { self.without_alerts() } else { self }
    }

    /// Merges two decisions into one: the higher priority sets the presentation, and the actions of both run.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (mut most, least) = if self.priority >= other.priority { (self, other) } else { (other, self) };
        let more: Vec<Action> =
            least.actions.into_iter().filter(|action| !most.conditions(*action)).collect();
        most.actions.extend(more);
        most.sound = most.sound.or(least.sound);
        most.command = most.command.or(least.command);
        most.respects_quiet_hours &= least.respects_quiet_hours;
        most
    }
}

/// The decision of the first rule that matches; `None` when no rule matches or the rule has no actions.
#[must_use]
pub fn evaluate<'r>(
    rules: impl IntoIterator<Item = &'r Rule>,
    device: &DeviceId,
    happening: &Trigger,
    now: Millis,
    quiet_hours: Option<&QuietHours>,
) -> Option<Decision> {
    let rule = rules.into_iter().find(|rule| rule.matches(device, happening, now))?;
    let spec = &rule.spec;
    // Prevents a loop: a failed delivery of a notification must not cause another notification.
    let is_loop = matches!(happening.about, About::Webhook { of_notification: true, .. });
    let may = |action: &Action| !(is_loop && *action == Action::Webhook);
    let actions: Vec<Action> = spec.actions.iter().copied().filter(may).collect();
    let ms = |span: Option<crate::domain::webhook::RetryDelay>| {
        span.map_or(0, |span| i64::try_from(span.ms()).unwrap_or(i64::MAX))
    };
    let sounds = actions.contains(&Action::Sound);
    let sound = spec.sound.clone().or_else(|| sounds.then(|| happening.kind.sound().to_owned()));
    let decision = Decision {
        id: rule.id.clone(),
        rule: spec.name.clone(),
        priority: spec.priority.unwrap_or_else(|| happening.priority()),
        sound,
        volume: spec.volume.unwrap_or(1.0),
        command: spec.command.clone(),
        group_ms: ms(spec.group),
        throttle_ms: ms(spec.throttle),
        respects_quiet_hours: spec.quiet,
        actions,
    };
    Some(decision.as_of(now, quiet_hours)).filter(|decision| !decision.actions.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::*;
    use super::super::{ChatKind, Kind, Match, RuleOrigin, RuleSpec, default_rules};
    use proptest::prelude::*;
    use serde_json::json;

    fn device() -> DeviceId {
        "shop".parse().unwrap()
    }

    fn message(chat: &str, text: &str, mention: bool) -> Trigger {
        let chat: crate::domain::jid::Jid = chat.parse().unwrap();
        Trigger {
            kind: Kind::Message,
            seq: 1,
            at: Millis(0),
            is_group: chat.is_group(),
            person: Some(chat.clone()),
            chat: Some(chat),
            mention,
            about: About::Message { name: "Anna".to_owned(), text: text.to_owned() },
        }
    }

    fn rule(spec: &serde_json::Value) -> Rule {
        Rule::new("r".parse().unwrap(), None, RuleOrigin::Api, RuleSpec::read(spec).unwrap())
    }

    fn matches(wanted: &serde_json::Value, happening: &Trigger) -> bool {
        rule(&json!({ "match": wanted, "actions": ["dashboard"] })).matches(&device(), happening, Millis(0))
    }

    #[test]
    fn every_condition_of_rule_is_required() {
        let news = message("15550100001@c.us", "An order", false);
        for (wanted, yes) in [
            (json!({}), true),
            (json!({ "events": ["message"] }), true),
            (json!({ "events": ["mess*"] }), true),
            (json!({ "events": ["call", "qr"] }), false),
            (json!({ "devices": ["shop"] }), true),
            (json!({ "devices": ["other"] }), false),
            (json!({ "chats": ["15550100001"] }), true),
            (json!({ "chats": ["15550100002"] }), false),
            (json!({ "people": ["15550100001@c.us"] }), true),
            (json!({ "people": ["15550100002@c.us"] }), false),
            (json!({ "in": "person" }), true),
            (json!({ "in": "group" }), false),
            (json!({ "text": "order" }), true),
            (json!({ "text": "order*" }), false),
            (json!({ "mention": false }), true),
            (json!({ "mention": true }), false),
            (json!({ "priority": "normal" }), true),
            (json!({ "priority": "high" }), false),
            (json!({ "hours": { "from": "23:00", "to": "01:00" } }), true),
            (json!({ "hours": { "from": "09:00", "to": "17:00" } }), false),
            (json!({ "hours": { "from": "09:00", "to": "10:00", "timeZone": "Asia/Tokyo" } }), true),
        ] {
            assert_eq!(matches(&wanted, &news), yes, "{wanted}");
        }
        assert!(matches(&json!({ "priority": "high" }), &message("1203630@g.us", "x", true)));
    }

    #[test]
    fn quiet_hours_keep_silent_actions_only() {
        let news = message("15550100001@c.us", "x", false);
        let hours =
            QuietHours::new("22:00".parse().unwrap(), "07:00".parse().unwrap(), "UTC".parse().unwrap())
                .unwrap();
        let all = json!({ "actions": ["dashboard", "desktop", "sound", "push", "webhook"] });
        let decided = evaluate(&[rule(&all)], &device(), &news, Millis(0), Some(&hours)).unwrap();
        assert_eq!((decided.actions, decided.sound), (vec![Action::Dashboard, Action::Webhook], None));
        let loud = json!({ "actions": ["sound"], "quiet": false });
        let decided = evaluate(&[rule(&loud)], &device(), &news, Millis(0), Some(&hours)).unwrap();
        assert_eq!(decided.sound.as_deref(), Some("message"));
        let only = json!({ "actions": ["desktop"] });
        assert_eq!(evaluate(&[rule(&only)], &device(), &news, Millis(0), Some(&hours)), None);
    }

    #[test]
    fn quiet_hours_apply_to_delayed_notification() {
        let news = message("15550100001@c.us", "x", false);
        let hours =
            QuietHours::new("22:00".parse().unwrap(), "07:00".parse().unwrap(), "UTC".parse().unwrap())
                .unwrap();
        let noon = Millis(12 * 3_600_000);
        let decided = |quiet| {
            let spec =
                json!({ "actions": ["dashboard", "sound", "command"], "command": "lamp", "quiet": quiet });
            evaluate(&[rule(&spec)], &device(), &news, noon, Some(&hours)).unwrap()
        };
        assert_eq!(decided(true).as_of(noon, Some(&hours)), decided(true));
        let at_night = decided(true).as_of(Millis(0), Some(&hours));
        assert_eq!((at_night.actions, at_night.sound), (vec![Action::Dashboard, Action::Command], None));
        assert_eq!(decided(false).as_of(Millis(0), Some(&hours)), decided(false));
        let both = decided(true).and(decided(false)).as_of(Millis(0), Some(&hours));
        assert!(both.conditions(Action::Sound), "one of them is exempt from quiet hours");
    }

    #[test]
    fn failed_notification_webhook_triggers_no_webhook() {
        let all = [rule(&json!({ "actions": ["dashboard", "webhook"] }))];
        let about = |of_notification| About::Webhook { sentence: String::new(), of_notification, events: 1 };
        let news = |of_notification| Trigger {
            kind: Kind::WebhookDead,
            about: about(of_notification),
            ..message("15550100001@c.us", "x", false)
        };
        let decided = |of| evaluate(&all, &device(), &news(of), Millis(0), None).unwrap().actions;
        assert_eq!(decided(true), [Action::Dashboard]);
        assert_eq!(decided(false), [Action::Dashboard, Action::Webhook]);
    }

    #[test]
    fn default_rules_cover_every_trigger() {
        for kind in Kind::ALL {
            let news = Trigger { kind: *kind, ..message("15550100001@c.us", "x", false) };
            let decided = evaluate(&default_rules::rules(), &device(), &news, Millis(0), None).unwrap();
            assert!(decided.conditions(Action::Dashboard), "{kind:?}");
        }
    }

    fn any_match() -> impl Strategy<Value = Match> {
        let events =
            prop::sample::subsequence(vec!["message".to_owned(), "call".to_owned(), "*".to_owned()], 0..3);
        let within = prop::option::of(prop::sample::select(vec![ChatKind::Group, ChatKind::Person]));
        let text = prop::option::of("[ab*]{1,3}");
        (events, within, text, any::<Option<bool>>()).prop_map(|(events, within, text, mention)| Match {
            events,
            within,
            text,
            mention,
            ..Match::default()
        })
    }

    proptest! {
        #[test]
        fn first_matching_rule_decides(
            wanted in prop::collection::vec(any_match(), 0..6), text in "[ab]{0,5}", mention: bool, group: bool,
        ) {
            let news = message(if group { "1203630@g.us" } else { "15550100001@c.us" }, &text, mention);
            let rules: Vec<Rule> = wanted.into_iter().enumerate().map(|(index, matches)| {
                let mut spec = RuleSpec::read(&json!({ "actions": ["dashboard"] })).unwrap();
                spec.name = index.to_string();
                spec.matches = matches;
                Rule::new("r".parse().unwrap(), None, RuleOrigin::Api, spec)
            }).collect();
            let decided = evaluate(&rules, &device(), &news, Millis(0), None).map(|decision| decision.rule);
            let first = rules.iter().find(|rule| rule.matches(&device(), &news, Millis(0)));
            prop_assert_eq!(decided, first.map(|rule| rule.spec.name.clone()));
        }

        #[test]
        fn added_condition_never_widens_match(wanted in any_match(), text in "[ab]{0,5}", mention: bool) {
            let news = message("15550100001@c.us", &text, mention);
            let matched = |matches: Match| {
                let mut spec = RuleSpec::read(&json!({ "actions": [] })).unwrap();
                spec.matches = matches;
                Rule::new("r".parse().unwrap(), None, RuleOrigin::Api, spec).matches(&device(), &news, Millis(0))
            };
            if matched(wanted.clone()) {
                for loosened in [
                    Match { events: Vec::new(), ..wanted.clone() },
                    Match { within: None, ..wanted.clone() },
                    Match { text: None, ..wanted.clone() },
                    Match { mention: None, ..wanted },
                ] {
                    prop_assert!(matched(loosened));
                }
            }
        }
    }
}
