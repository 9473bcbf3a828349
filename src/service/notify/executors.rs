//! Executors of actions: one worker per action, each with a bounded queue. One device holds at most half of a
//! queue; a notification that does not fit is dropped and counted, because it would be outdated later.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc};

use super::dismiss::{ROOM, ShownNotifications};
use super::job_queue::{Dropped, Queue};
use super::recorder::QueuedNotification;
use crate::domain::event::NotificationEvent;
use crate::domain::ids::DeviceId;
use crate::domain::notify::{Action, Priority};
use crate::effects::EffectError;
use crate::effects::command::{CommandCall, CommandRun};
use crate::effects::desktop::{DesktopAction, DesktopNotification};
use crate::service::Notifications;

/// Limit of waiting sounds; a longer queue would play outdated sounds.
const SOUND: usize = 2;
/// Extra queue capacity for sounds of high priority, which play first, so that messages do not delay a
/// ringing call.
const SOUND_URGENT: usize = 4;
/// Limit of notifications that wait to be pushed.
const PUSH: usize = 128;
const HOUR_MS: i64 = 3_600_000;

/// Buttons of desktop notifications: id and label.
const READ: (&str, &str) = ("read", "Mark read");
const MUTE: (&str, &str) = ("mute", "Mute an hour");

type ExecutorQueue = Arc<Queue<Arc<QueuedNotification>>>;

/// Queues by action; empty until the workers start.
#[derive(Default)]
pub(super) struct ExecutorQueues(Mutex<Vec<(Action, ExecutorQueue)>>);

impl ExecutorQueues {
    fn open(&self, action: Action, room: usize, urgent: usize) -> ExecutorQueue {
        let queue = Arc::new(Queue::new(room, urgent));
        self.0.lock().push((action, queue.clone()));
        queue
    }
}

impl Notifications {
    pub(super) fn start_hands(&self) {
        let queues = &self.state.queues;
        let (notify, queue) = (self.clone(), queues.open(Action::Desktop, self.state.desktop_waiting, 0));
        let (on_desktop, watched) = mpsc::channel(ROOM);
        self.tasks.spawn("notify-desktop", async move { notify.show_all(&queue, &on_desktop).await });
        let notify = self.clone();
        self.tasks.spawn("notify-withdraw", async move { notify.dismiss_obsolete(watched).await });
        let (notify, queue) = (self.clone(), queues.open(Action::Sound, SOUND, SOUND_URGENT));
        self.tasks.spawn("notify-sound", async move { notify.play_all(&queue).await });
        let (notify, queue) = (self.clone(), queues.open(Action::Command, self.state.commands_waiting, 0));
        self.tasks.spawn("notify-command", async move { notify.run_all(&queue).await });
        if self.state.push_enabled {
            let (notify, queue) = (self.clone(), queues.open(Action::Push, PUSH, 0));
            self.tasks.spawn("notify-push", async move { notify.push_all(&queue).await });
        }
        let answers = self.state.answers.lock().take();
        if let Some(mut answers) = answers {
            let notify = self.clone();
            self.tasks.spawn("notify-answers", async move {
                let soft = notify.tasks.soft().clone();
                while let Some(Some(answer)) = soft.run_until_cancelled(answers.recv()).await {
                    notify.answered(answer).await;
                }
            });
        }
    }

    /// Adds a notification to the queue of each action of its rule.
    pub(super) fn enqueue(&self, handed: &Arc<QueuedNotification>) {
        let queues = self.state.queues.0.lock();
        for (action, queue) in
            queues.iter().filter(|(action, _)| handed.coalesced.case.decision.conditions(*action))
        {
            let urgent = handed.shown.priority == Priority::High;
            let Err(Dropped(said)) = queue.offer(&handed.device, urgent, handed.clone(), self.clock.now())
            else {
                continue;
            };
            self.metrics.notify_effect(action.as_str(), "dropped");
            // Only commands are logged: they may have effects beyond an alert.
            if let (Action::Command, Some(dropped)) = (action, said) {
                let device = &handed.device;
                tracing::warn!(
                    %device,
                    dropped,
                    "notification commands were dropped: the queue or this device's share of it is full"
                );
            }
        }
    }

    pub(super) async fn next(
        &self,
        queue: &Queue<Arc<QueuedNotification>>,
    ) -> Option<Arc<QueuedNotification>> {
        self.tasks.soft().run_until_cancelled(queue.next()).await
    }

    /// Counts the result of an action and logs unexpected failures.
    pub(super) fn record_effect<T>(&self, action: Action, result: &Result<T, EffectError>) {
        let outcome = match result {
            Ok(_) => "done",
            Err(EffectError::Off(_)) => "off",
            Err(EffectError::Busy) => "busy",
            Err(_) => "failed",
        };
        self.metrics.notify_effect(action.as_str(), outcome);
        if let (Err(error), "failed") = (result, outcome) {
            tracing::warn!(action = action.as_str(), %error, "a notification action failed");
        }
    }

    async fn show_all(
        &self,
        queue: &Queue<Arc<QueuedNotification>>,
        on_desktop: &mpsc::Sender<ShownNotifications>,
    ) {
        while let Some(handed) = self.next(queue).await {
            let notice = notice(&handed);
            let tag = notice.tag.clone();
            let result = self.state.desktop.show(notice).await;
            self.record_effect(Action::Desktop, &result);
            if result.is_ok() {
                let happening = &handed.coalesced.case.happening;
                let (device, kind, chat) = (handed.device.clone(), happening.kind, happening.chat.clone());
                let shown = ShownNotifications { device, tag, kind, chat, seq: handed.coalesced.last_seq };
                // Does not wait: an untracked notification stays until the user closes it.
                let _ = on_desktop.try_send(shown);
            }
        }
    }

    async fn play_all(&self, queue: &Queue<Arc<QueuedNotification>>) {
        let at_once = self.state.sounds_at_once;
        self.process_queue(queue, at_once, "notify-sound-play", Self::play_for).await;
    }

    async fn play_for(self, handed: Arc<QueuedNotification>) {
        let Some(sound) = handed.shown.sound.as_deref() else { return };
        let playing = self.state.speaker.play(sound, handed.coalesced.case.decision.volume);
        let Some(result) = self.tasks.soft().run_until_cancelled(playing).await else { return };
        self.record_effect(Action::Sound, &result);
    }

    async fn run_all(&self, queue: &Queue<Arc<QueuedNotification>>) {
        let at_once = self.state.commands_at_once;
        self.process_queue(queue, at_once, "notify-command-run", Self::run_for).await;
        let left = queue.len();
        if left > 0 {
            tracing::warn!(left, "waiting notification commands are discarded: the daemon is shutting down");
        }
    }

    /// Runs queued work with limited concurrency until shutdown.
    async fn process_queue<W, F>(
        &self,
        queue: &Queue<Arc<QueuedNotification>>,
        at_once: usize,
        task: &'static str,
        work: W,
    ) where
        W: Fn(Self, Arc<QueuedNotification>) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(at_once.max(1)));
        loop {
            let taken = self.tasks.soft().run_until_cancelled(places.clone().acquire_owned()).await;
            let Some(Ok(place)) = taken else { return };
            let Some(handed) = self.next(queue).await else { return };
            let done = work(self.clone(), handed);
            self.tasks.spawn(task, async move {
                done.await;
                drop(place);
            });
        }
    }

    async fn run_for(self, handed: Arc<QueuedNotification>) {
        let Some(name) = handed.coalesced.case.decision.command.as_deref() else { return };
        let event = handed.coalesced.case.event.as_deref();
        let result = self.run_command(name, &handed.device, &handed.shown, event).await;
        self.record_effect(Action::Command, &result);
    }

    /// Runs a configured command for a notification.
    pub(super) async fn run_command(
        &self,
        name: &str,
        device: &DeviceId,
        shown: &NotificationEvent,
        event: Option<&str>,
    ) -> Result<CommandRun, EffectError> {
        let Some(command) = self.state.commands.get(name) else {
            return Err(EffectError::Invalid(format!("the settings contain no command {name:?}")));
        };
        let input = CommandInput {
            device_id: device,
            notification: shown,
            event: event.and_then(|event| RawValue::from_string(event.to_owned()).ok()),
        };
        let input = serde_json::to_vec(&input).map_err(|error| EffectError::Invalid(error.to_string()))?;
        let call = CommandCall {
            name: name.to_owned(),
            args: command.run.clone(),
            input,
            env: variables(device, shown),
            timeout_ms: command.timeout_ms,
        };
        let run = self.state.runner.run(call).await?;
        let exit = match run.exit {
            _ if run.timed_out => "timeout".to_owned(),
            Some(code) => code.to_string(),
            None => "signal".to_owned(),
        };
        self.metrics.command_exited(exit.clone());
        // The output may repeat message text, which is logged only if the operator enables it.
        let output = command.log_output.then_some(run.output.as_str());
        let (ms, output_bytes) = (run.ms, run.output.len());
        if run.exit == Some(0) && !run.timed_out {
            tracing::info!(command = name, exit, ms, output_bytes, output, "a notification command ended");
        } else {
            tracing::warn!(command = name, exit, ms, output_bytes, output, "a notification command failed");
        }
        Ok(run)
    }

    async fn answered(&self, DesktopAction { tag, action }: DesktopAction) {
        let Some((device, topic)) = tag.split_once('|') else { return };
        let Ok(device) = device.parse::<DeviceId>() else { return };
        let chat = topic.split_once(':').and_then(|(_, chat)| chat.parse().ok());
        let done = match (action.as_str(), chat) {
            ("read", Some(chat)) => self.messaging.mark_read(&device, &chat, None).await.map(drop),
            ("mute", Some(chat)) => {
                let until = Some(self.clock.now().plus(HOUR_MS));
                let (device, chat) = (Some(device.clone()), Some(chat));
                self.mute(super::MuteChange { operator: None, device, chat, until }).await
            }
            _ => Ok(()),
        };
        if let Err(error) = done {
            tracing::warn!(%device, action, %error, "a notification button had no effect");
        }
    }
}

fn notice(handed: &QueuedNotification) -> DesktopNotification {
    let button = |(id, label): (&str, &str)| (id.to_owned(), label.to_owned());
    let actions = match &handed.shown.chat_id {
        Some(_) => vec![button(READ), button(MUTE)],
        // No mute button: to mute the whole device would mute its messages too.
        None => Vec::new(),
    };
    DesktopNotification {
        tag: format!("{}|{}", handed.device, handed.coalesced.tag),
        title: handed.shown.title.clone(),
        body: handed.shown.body.clone(),
        urgency: handed.shown.priority,
        actions,
    }
}

/// The JSON that a command receives on standard input.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandInput<'a> {
    device_id: &'a DeviceId,
    notification: &'a NotificationEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
}

/// Environment variables of a command. Their values are sanitized.
fn variables(device: &DeviceId, shown: &NotificationEvent) -> Vec<(String, String)> {
    let chat = shown.chat_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let all = [
        ("WHARF_DEVICE", device.to_string()),
        ("WHARF_KIND", shown.kind.clone()),
        ("WHARF_NOTIFICATION", shown.id.clone()),
        ("WHARF_PRIORITY", shown.priority.as_str().to_owned()),
        ("WHARF_TITLE", shown.title.clone()),
        ("WHARF_BODY", shown.body.clone()),
        ("WHARF_CHAT", chat),
        ("WHARF_COUNT", shown.count.to_string()),
        ("WHARF_SOUND", shown.sound.clone().unwrap_or_default()),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
