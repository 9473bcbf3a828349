//! Default rules, which apply when no other rule matches. The last of them matches every trigger.

use serde_json::json;

use super::{Rule, RuleOrigin, RuleSpec};

/// The default rules in order of evaluation.
#[must_use]
pub fn rules() -> Vec<Rule> {
    let all = json!(["dashboard", "desktop", "sound", "push"]);
    let specs = [
        json!({ "name": "messages", "match": { "events": ["message"] }, "actions": all, "group": "10s" }),
        json!({ "name": "calls", "match": { "events": ["call", "missed_call"] }, "actions": all }),
        // Limits the notifications of an unstable connection.
        json!({ "name": "offline", "match": { "events": ["offline"] }, "actions": all, "throttle": "5m" }),
        json!({ "name": "link", "match": { "events": ["qr", "error"] }, "actions": all }),
        json!({ "name": "failed messages", "match": { "events": ["message_failed"] }, "actions": all, "group": "30s" }),
        json!({ "name": "webhooks", "match": { "events": ["webhook_*"] }, "actions": ["dashboard", "desktop"], "group": "1m" }),
        json!({ "name": "anything else", "actions": all }),
    ];
    specs
        .iter()
        .enumerate()
        // A test ensures that neither can fail.
        .filter_map(|(index, spec)| {
            let id = format!("default-{}", index + 1).parse().ok()?;
            Some(Rule::new(id, None, RuleOrigin::Default, RuleSpec::read(spec).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn default_rules_are_valid() {
        assert_eq!(super::rules().len(), 7);
    }
}
