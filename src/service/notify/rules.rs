//! Management of notification rules over REST and in device files. At most 100 rules per device, and 100 for
//! all devices.

use std::sync::Arc;

use crate::domain::ids::DeviceId;
use crate::domain::notify::{Rule, RuleId, RuleOrigin, RuleSpec};
use crate::effects::EffectError;
use crate::service::{Notifications, ServiceError};
use crate::store::Reader;

/// Limit of rules per device, and of rules for all devices.
const MAX_RULES: usize = 100;

/// A partial update of a rule: absent fields stay, and `null` resets a field.
#[derive(Debug, Clone)]
pub struct RuleChange(pub serde_json::Map<String, serde_json::Value>);

impl Notifications {
    /// The rules that apply to a device, in order of evaluation; without a device, the rules for all devices.
    #[must_use]
    pub fn notify_rules(&self, of: Option<&DeviceId>) -> Vec<Rule> {
        let counts = |rule: &&Rule| rule.device.as_ref().is_none_or(|own| Some(own) == of);
        self.state.rules().iter().filter(counts).cloned().collect()
    }

    /// A rule by its id.
    ///
    /// # Errors
    /// When there is no such rule.
    pub fn notify_rule(&self, id: &RuleId) -> Result<Rule, ServiceError> {
        self.state.rules().iter().find(|rule| rule.id == *id).cloned().ok_or(ServiceError::RuleNotFound)
    }

    /// Adds a rule, for one device or for all.
    ///
    /// # Errors
    /// When the rule is invalid, there is no such device, the limit of rules is reached, or the store fails.
    pub async fn create_notify_rule(
        &self,
        device: Option<DeviceId>,
        spec: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Rule, ServiceError> {
        let spec = self.read_rule(spec.clone())?;
        self.check_sound(spec.sound.as_deref()).await?;
        let rule = Rule::new(RuleId::random(&*self.random), device, RuleOrigin::Api, spec);
        let (now, stored) = (self.clock.now(), rule.clone());
        self.store
            .write(move |tx| {
                if let Some(device) = &stored.device {
                    tx.device(device)?.ok_or(ServiceError::DeviceNotFound)?;
                }
                let own = |rule: &&Rule| rule.device == stored.device && rule.origin == RuleOrigin::Api;
                if tx.notify_rules()?.iter().filter(own).count() >= MAX_RULES {
                    return Err(ServiceError::TooManyRules(MAX_RULES));
                }
                Ok(tx.insert_notify_rule(&stored, now)?)
            })
            .await?;
        self.reload_rules().await?;
        Ok(rule)
    }

    /// Changes a rule; applies to later events.
    ///
    /// # Errors
    /// When the result is invalid, the rule was not created over REST, or there is no such rule.
    pub async fn change_notify_rule(&self, id: &RuleId, change: RuleChange) -> Result<Rule, ServiceError> {
        self.check_sound(change.0.get("sound").and_then(serde_json::Value::as_str)).await?;
        let (notify, of) = (self.clone(), id.clone());
        self.store
            .write(move |tx| {
                let rule = own_rule(&notify, tx, &of)?;
                let mut fields = match serde_json::to_value(&rule.spec) {
                    Ok(serde_json::Value::Object(fields)) => fields,
                    _ => serde_json::Map::new(),
                };
                fields.extend(change.0.clone());
                let spec = notify.read_rule(fields)?;
                Ok::<_, ServiceError>(tx.change_notify_rule(&of, &spec)?)
            })
            .await?;
        self.reload_rules().await?;
        self.notify_rule(id)
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// When the rule was not created over REST, or there is no such rule.
    pub async fn delete_notify_rule(&self, id: &RuleId) -> Result<(), ServiceError> {
        let (notify, of) = (self.clone(), id.clone());
        self.store
            .write(move |tx| {
                own_rule(&notify, tx, &of)?;
                Ok::<_, ServiceError>(tx.delete_notify_rule(&of)?)
            })
            .await?;
        self.reload_rules().await
    }

    /// Replaces the file rules of a device with those of its device file.
    pub(in crate::service) async fn reconcile_notify_rules(
        &self,
        device: &DeviceId,
        specs: Vec<RuleSpec>,
    ) -> Result<(), ServiceError> {
        for spec in &specs {
            self.check_rule(spec)?;
            self.check_sound(spec.sound.as_deref()).await?;
        }
        let declared: Vec<Rule> = specs
            .into_iter()
            .map(|spec| {
                Rule::new(RuleId::random(&*self.random), Some(device.clone()), RuleOrigin::File, spec)
            })
            .collect();
        let of_file = |rule: &&Rule| rule.device.as_ref() == Some(device) && rule.origin == RuleOrigin::File;
        let rules = self.state.rules();
        let same =
            rules.iter().filter(of_file).map(|rule| &rule.spec).eq(declared.iter().map(|rule| &rule.spec));
        if same {
            return Ok(());
        }
        let (id, now) = (device.clone(), self.clock.now());
        self.store
            .write_patiently(move |tx| {
                tx.delete_declared_notify_rules(&id)?;
                declared.iter().try_for_each(|rule| tx.insert_notify_rule(rule, now))
            })
            .await?;
        self.reload_rules().await
    }

    pub(super) async fn reload_rules(&self) -> Result<(), ServiceError> {
        let mut rules = self.store.read(|store| store.notify_rules()).await?;
        // Rules of one device go first because they are more specific.
        rules.sort_by_key(|rule| rule.device.is_none());
        rules.extend(self.state.fixed_rules.iter().cloned());
        *self.state.rules.write() = Arc::new(rules);
        Ok(())
    }

    fn read_rule(
        &self,
        fields: serde_json::Map<String, serde_json::Value>,
    ) -> Result<RuleSpec, ServiceError> {
        let spec = RuleSpec::read(&serde_json::Value::Object(fields))
            .map_err(|error| ServiceError::invalid(error.field, error.message))?;
        self.check_rule(&spec)?;
        Ok(spec)
    }

    async fn check_sound(&self, name: Option<&str>) -> Result<(), ServiceError> {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(()) };
        if self.sound(name).await.is_ok() {
            return Ok(());
        }
        let names: Vec<String> = self.sounds().await?.into_iter().take(20).map(|sound| sound.name).collect();
        Err(ServiceError::invalid("sound", format!("must be the name of a sound: {}", names.join(", "))))
    }

    /// Logs a warning for each rule with a command while commands are disabled.
    pub(super) fn warn_missing_commands(&self) {
        for rule in self.state.rules().iter() {
            if rule.spec.enabled && rule.spec.command.is_some() {
                tracing::warn!(
                    rule = %rule.id,
                    name = rule.spec.name,
                    "a rule has a command, but commands are disabled: effects.command.enabled is false"
                );
            }
        }
    }

    /// Removes the rules and mutes of a deleted device from memory, so that a new device with the same id
    /// starts without them.
    pub(in crate::service) fn remove_cached_rules(&self, device: &DeviceId) {
        let mut rules = self.state.rules.write();
        *rules =
            Arc::new(rules.iter().filter(|rule| rule.device.as_ref() != Some(device)).cloned().collect());
        drop(rules);
        self.forget_mutes_of(device);
    }

    fn check_rule(&self, spec: &RuleSpec) -> Result<(), ServiceError> {
        match &spec.command {
            Some(name) if !self.state.commands.contains_key(name) => {
                let right = "must be the name of one of notify.commands in the daemon's settings; nothing else is run";
                Err(ServiceError::invalid("command", right))
            }
            _ => Ok(()),
        }
    }
}

fn own_rule(notify: &Notifications, store: &Reader<'_>, id: &RuleId) -> Result<Rule, ServiceError> {
    match store.notify_rules()?.into_iter().find(|rule| rule.id == *id) {
        Some(rule) if rule.origin == RuleOrigin::Api => Ok(rule),
        Some(_) => Err(ServiceError::SetByFile("this rule".to_owned())),
        None if notify.notify_rule(id).is_ok() => Err(ServiceError::FixedRule),
        None => Err(ServiceError::RuleNotFound),
    }
}

/// Converts the error of an effect that the request named.
pub(super) fn effect_refused(error: &EffectError) -> ServiceError {
    ServiceError::Impossible { code: "effect_failed", message: error.to_string() }
}
