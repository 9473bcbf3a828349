//! Tests one notification action: it runs once and immediately. Rules, mutes and quiet hours do not apply.

use super::rules::effect_refused;
use crate::domain::event::{Event, NotificationEvent};
use crate::domain::ids::DeviceId;
use crate::domain::notify::{Action, Kind, OperatorId, Priority};
use crate::effects::EffectError;
use crate::effects::desktop::DesktopNotification;
use crate::service::{Notifications, ServiceError};

/// The action to test.
#[derive(Debug, Clone)]
pub struct TestAction {
    /// The action.
    pub action: Action,
    /// Name of a sound; `message`, when absent.
    pub sound: Option<String>,
    /// Name of a command; may be absent when only one is configured.
    pub command: Option<String>,
    /// Device for the event; required for the actions dashboard and webhook.
    pub device: Option<DeviceId>,
    /// The operator who gets the push.
    pub operator: OperatorId,
}

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestActionReport {
    /// Whether the action succeeded.
    pub done: bool,
    /// The result as a sentence.
    pub said: String,
}

/// Placeholder id when the test names no device.
const NO_DEVICE: &str = "test";

impl Notifications {
    /// Runs an action once and reports the result. An unavailable action is reported, not returned as an
    /// error.
    ///
    /// # Errors
    /// When there is no such device, sound or command, or the store fails.
    pub async fn try_action(&self, trial: TestAction) -> Result<TestActionReport, ServiceError> {
        if let Some(device) = &trial.device
            && !self.registry.device_exists(device)
        {
            return Err(ServiceError::DeviceNotFound);
        }
        let report = |done, said: String| Ok(TestActionReport { done, said });
        match trial.action {
            Action::Desktop => report_of(self.try_desktop().await),
            Action::Sound => {
                let sound = trial.sound.as_deref().unwrap_or("message");
                let played = self.state.speaker.play(sound, 1.0).await;
                report_of(played.map(|played| format!("The sound {sound} was played: {} ms.", played.ms)))
            }
            Action::Command => self.try_command(&trial).await,
            Action::Push => {
                let device = trial
                    .device
                    .clone()
                    .map_or_else(|| NO_DEVICE.parse().map_err(|_| ServiceError::DeviceNotFound), Ok)?;
                let pushed = self.try_push(&device, &self.sample(&device, None), &trial.operator).await?;
                report(pushed.taken > 0, pushed.said())
            }
            Action::Dashboard | Action::Webhook => {
                let device = trial.device.ok_or_else(|| {
                    ServiceError::invalid("deviceId", "is required: in whose log the notification stands")
                })?;
                let delivered = trial.action == Action::Webhook;
                let seq = self.log_sample(&device, delivered).await?;
                let to = if delivered { "webhooks and dashboards" } else { "dashboards" };
                report(
                    true,
                    format!("The event notification was added to the log of {device} as {seq}, for {to}."),
                )
            }
        }
    }

    async fn try_desktop(&self) -> Result<String, EffectError> {
        let notice = DesktopNotification {
            tag: NO_DEVICE.to_owned(),
            title: "Wharf".to_owned(),
            body: "This is a test notification.".to_owned(),
            urgency: Priority::Normal,
            actions: Vec::new(),
        };
        let shown = self.state.desktop.show(notice).await?;
        Ok(format!("The desktop shows it as number {}.", shown.id))
    }

    async fn try_command(&self, trial: &TestAction) -> Result<TestActionReport, ServiceError> {
        let commands = &self.state.commands;
        let only = || commands.keys().next().filter(|_| commands.len() == 1).cloned();
        let Some(name) = trial.command.clone().or_else(only) else {
            let right = match commands.len() {
                0 => "is not available: the settings contain no notify.commands",
                _ => "is required: notify.commands contains several",
            };
            return Err(ServiceError::invalid("command", right));
        };
        if !commands.contains_key(&name) {
            return Err(ServiceError::invalid("command", "must be the name of one of notify.commands"));
        }
        let device = trial
            .device
            .clone()
            .map_or_else(|| NO_DEVICE.parse().map_err(|_| ServiceError::DeviceNotFound), Ok)?;
        let ran = self.run_command(&name, &device, &self.sample(&device, trial.sound.clone()), None).await;
        let run = match ran {
            Ok(run) => run,
            Err(error) => return report_of(Err(error)),
        };
        let ended = match run.exit {
            _ if run.timed_out => "was ended at its time limit".to_owned(),
            Some(code) => format!("ended with code {code}"),
            None => "was ended by a signal".to_owned(),
        };
        let output = if run.output.is_empty() { String::new() } else { format!(" It wrote: {}", run.output) };
        let said = format!("The command {name} {ended} after {} ms.{output}", run.ms);
        Ok(TestActionReport { done: run.exit == Some(0) && !run.timed_out, said })
    }

    fn sample(&self, device: &DeviceId, sound: Option<String>) -> NotificationEvent {
        NotificationEvent {
            id: format!("{device}-test-{}", self.clock.now().0),
            kind: Kind::Test.as_str().to_owned(),
            priority: Priority::Normal,
            title: "Wharf".to_owned(),
            body: "This is a test notification.".to_owned(),
            sound_url: sound.as_deref().map(|sound| self.sound_url(sound)),
            sound,
            chat_id: None,
            count: 1,
        }
    }

    async fn log_sample(&self, device: &DeviceId, delivered: bool) -> Result<i64, ServiceError> {
        let (now, id) = (self.clock.now(), device.clone());
        let event = Event::Notification(self.sample(device, Some("message".to_owned())));
        self.store
            .write(move |tx| {
                tx.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                Ok(match delivered {
                    true => tx.append(&id, &event, now)?,
                    false => tx.append_undelivered(&id, &event, now)?.0,
                })
            })
            .await
    }
}

fn report_of(came: Result<String, EffectError>) -> Result<TestActionReport, ServiceError> {
    match came {
        Ok(said) => Ok(TestActionReport { done: true, said }),
        Err(error @ (EffectError::NoSound(_) | EffectError::Invalid(_))) => Err(effect_refused(&error)),
        Err(error) => Ok(TestActionReport { done: false, said: format!("It was not done: {error}") }),
    }
}
