//! Runs one connection of a session, from its first byte to its last.

use crate::engine::whatsapp::boxed::boxed;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use whatsapp_rust::Client;
use whatsapp_rust::store::Backend;
use whatsapp_rust::store::traits::DeviceStore as _;
use whatsapp_rust::types::events::Event;
use whatsapp_rust::wacore::runtime::Runtime as _;

use super::connection_progress::{ConnectionEnd, ConnectionProgress};
use super::{GOODBYE, TASKS, WhatsAppSession};
use crate::domain::clock::Millis;
use crate::domain::reason::Reason;
use crate::engine::whatsapp::acks::Acks;
use crate::engine::whatsapp::app_state;
use crate::engine::whatsapp::client::{self, BuiltClient};
use crate::engine::whatsapp::connection_context::ConnectionContext;
use crate::engine::whatsapp::convert::identities::Identities;
use crate::engine::whatsapp::event_queue::{self, EventQueue};
use crate::engine::whatsapp::group_reading::GroupReading;
use crate::engine::whatsapp::history_queue::HistoryQueue;
use crate::engine::whatsapp::inbound::{DurabilityHook, HookSlot};
use crate::engine::whatsapp::keepalive::{self, Keepalive};
use crate::engine::whatsapp::on_network_cache::OnNetworkCache;
use crate::engine::whatsapp::own_presence::OwnPresence;
use crate::engine::whatsapp::pending_syncs::PendingSyncs;
use crate::engine::whatsapp::presence_declaration;
use crate::engine::whatsapp::remote_file_limits::RemoteFileLimits;
use crate::engine::whatsapp::remote_files;
use crate::engine::whatsapp::runtime::{CodeRotation, Tasks};
use crate::engine::whatsapp::settings::History;
use crate::engine::whatsapp::{
    disconnect_reason, event_pump, groups, history_download, linking, retry_request,
};
use crate::engine::{EngineEvent, SessionEnd};

/// How long the connection is not read while an event is ingested.
const MOMENT: Duration = Duration::from_millis(50);

impl WhatsAppSession {
    /// Connects, and runs the connection until it ends.
    pub(super) async fn connect_once(&self) -> ConnectionEnd {
        let tasks = Tasks::new();
        let acks = Arc::new(Acks::default());
        let (listener, events) = event_queue::event_channel(Arc::clone(&acks));
        let slot = HookSlot::default();
        let hook = DurabilityHook(Arc::clone(&slot));
        let backend: Arc<dyn Backend> = self.backend.clone();
        let built = client::build(&self.shared, &self.settings, backend, &tasks, hook, listener).await;
        let BuiltClient { client, tasks: history_tasks } = match built {
            Ok(built) => built,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(device = %self.device, %error, cause, "could not set up the connection");
                return ConnectionEnd::Ended(SessionEnd::LinkLost(Reason::EngineError));
            }
        };
        client.set_force_active_delivery_receipts(self.settings.delivered_while_offline);
        let linked_at = match linking::linked_at(&*self.vault).await {
            Ok(linked_at) => linked_at,
            Err(error) => {
                tracing::warn!(device = %self.device, %error, "could not read when the device was linked");
                return ConnectionEnd::Ended(SessionEnd::LinkLost(Reason::EngineError));
            }
        };
        let context = self.connection(&client, Arc::clone(&acks), linked_at, tasks.rotation().clone());
        let _ = slot.set(Arc::downgrade(&context));
        #[cfg(feature = "testbed")]
        self.shared.testbed_devices.set_connection(
            &self.device,
            Some(crate::engine::whatsapp::testbed::TestbedConnection {
                client: Arc::downgrade(&client),
                progress: events.progress(),
                tasks: Arc::new(tasks.runtime()),
                backend: Arc::clone(&self.backend),
            }),
        );
        let syncing = app_state::run(Arc::clone(&context), events.progress());
        let history = history_download::run(Arc::clone(&context), events.progress(), history_tasks);
        tasks.runtime().spawn_detached(Box::pin(syncing));
        tasks.runtime().spawn_detached(Box::pin(history));
        tasks.runtime().spawn_detached(Box::pin(groups::run(Arc::clone(&context))));
        tasks.runtime().spawn_detached(Box::pin(presence_declaration::run(Arc::clone(&context))));
        tasks.runtime().spawn_detached(Box::pin(remote_files::run(Arc::clone(&context))));
        let runner = Arc::clone(&client);
        let running = boxed(async move { runner.run().await });
        let mut progress = ConnectionProgress::default();
        self.run_until_end(&context, running, events, &tasks, &mut progress).await;
        let passkey = self.passkey.clear();
        #[cfg(feature = "testbed")]
        self.shared.testbed_devices.set_connection(&self.device, None);
        self.set_online(None);
        self.end_link_wait();
        acks.close();
        let panicked = tasks.has_panicked();
        if !panicked && tokio::time::timeout(GOODBYE, boxed(client.disconnect())).await.is_err() {
            tracing::warn!(device = %self.device, "the connection did not end in time");
        }
        tasks.end(TASKS).await;
        if panicked {
            return ConnectionEnd::Panicked;
        }
        let outcome = match (progress.outcome(), passkey) {
            // Nothing is retried: the phone shows an attempt that has failed.
            (ConnectionEnd::Ended(SessionEnd::LinkLost(_) | SessionEnd::CodesExhausted), Some(ended)) => {
                ConnectionEnd::Ended(SessionEnd::PasskeyEnded(ended.unwrap_or(Reason::PasskeyFailed)))
            }
            (outcome, _) => outcome,
        };
        if let ConnectionEnd::Ended(SessionEnd::LoggedOut(_)) = outcome {
            let incomplete = !progress.open && self.may_be_incomplete().await;
            self.clear_credentials().await;
            if incomplete {
                return ConnectionEnd::Ended(SessionEnd::LinkLost(Reason::LinkIncomplete));
            }
        }
        outcome
    }

    fn connection(
        &self,
        client: &Arc<Client>,
        acks: Arc<Acks>,
        linked_at: Option<Millis>,
        code_rotation: CodeRotation,
    ) -> Arc<ConnectionContext> {
        let identities = Identities::new(client.pn().as_ref(), client.lid().as_ref());
        Arc::new(ConnectionContext {
            device: self.device.clone(),
            client: Arc::clone(client),
            linked_at,
            code_rotation,
            identities: Arc::new(identities),
            inbound: Arc::clone(&self.inbound),
            vault: Arc::clone(&self.vault),
            media: Arc::clone(&self.media),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            acks,
            history_messages: AtomicU64::new(0),
            history_parts: AtomicU64::new(0),
            history_queue: (self.settings.history != History::None).then(HistoryQueue::default),
            open: CancellationToken::new(),
            on_network: OnNetworkCache::default(),
            ack_overdue: tokio::sync::Notify::new(),
            group_reading: GroupReading::default(),
            delivered_groups: Mutex::default(),
            pending_syncs: PendingSyncs::default(),
            remote_files: RemoteFileLimits::default(),
            own_presence: OwnPresence::new(self.settings.presence),
        })
    }

    /// Runs the client and ingests its events until there is a reason to end.
    async fn run_until_end(
        &self,
        context: &Arc<ConnectionContext>,
        running: impl Future<Output = ()> + Unpin,
        events: EventQueue,
        tasks: &Tasks,
        progress: &mut ConnectionProgress,
    ) {
        let overflow = events.overflow();
        let ended = tokio::select! {
            biased;
            () = self.cancel.cancelled() => SessionEnd::Closed,
            () = self.logged_out.cancelled() => SessionEnd::Closed,
            () = tasks.panicked() => return,
            () = overflow.cancelled() => {
                tracing::warn!(device = %self.device, "event queue overflowed");
                SessionEnd::LinkLost(Reason::EngineError)
            }
            () = self.process_events(context, running, events, progress) => return,
        };
        progress.ended = Some(ended);
    }

    async fn process_events(
        &self,
        context: &Arc<ConnectionContext>,
        mut running: impl Future<Output = ()> + Unpin,
        mut events: EventQueue,
        progress: &mut ConnectionProgress,
    ) {
        let mut keepalive_ping = Box::pin(keepalive::ping(&context.client, Duration::ZERO));
        while progress.ended.is_none() {
            tokio::select! {
                biased;
                Some(event) = events.next() => {
                    let ingesting = self.handle_event(context, &event, progress);
                    if run_while_reading(ingesting, &mut running).await {
                        return self.drain(context, &mut events, progress).await;
                    }
                }
                () = context.ack_overdue.notified() => {
                    keepalive_ping = Box::pin(keepalive::ping(&context.client, Duration::ZERO));
                }
                missing = self.backend.missing(), if progress.open => {
                    if run_while_reading(retry_request::ask(context, &missing), &mut running).await {
                        return self.drain(context, &mut events, progress).await;
                    }
                }
                result = &mut keepalive_ping, if progress.open => {
                    progress.ended = self.on_keepalive(result).await.err();
                    keepalive_ping = Box::pin(keepalive::ping(&context.client, keepalive::INTERVAL));
                }
                ended = self.passkey.ended() => progress.ended = Some(ended),
                () = self.typed_code_expired(), if progress.codes_shown && !self.passkey.is_pending() => {
                    progress.ended = Some(SessionEnd::CodesExhausted);
                }
                () = &mut running => return self.drain(context, &mut events, progress).await,
            }
        }
    }

    /// Handles the events that are still queued when the connection has ended.
    async fn drain(
        &self,
        context: &Arc<ConnectionContext>,
        events: &mut EventQueue,
        progress: &mut ConnectionProgress,
    ) {
        while let Some(event) = events.try_next() {
            self.handle_event(context, &event, progress).await;
        }
    }

    async fn handle_event(
        &self,
        context: &Arc<ConnectionContext>,
        event: &Event,
        progress: &mut ConnectionProgress,
    ) {
        if progress.paired && matches!(event, Event::PairingQrCodesExhausted(_)) {
            return;
        }
        if let Some(ended) = disconnect_reason::of_event(event) {
            self.log_end_reason(event);
            progress.ended.get_or_insert(ended);
            return;
        }
        let ingesting = self.on_event(context, event, progress).await;
        if let Err(ended) = ingesting {
            progress.ended.get_or_insert(ended);
        }
    }

    /// Logs the network's own reason, in addition to the reason code.
    fn log_end_reason(&self, event: &Event) {
        match event {
            Event::TemporaryBan(details) => tracing::warn!(
                device = %self.device,
                code = details.code.code(),
                seconds = details.expire.num_seconds(),
                "the network suspended the account: {}", disconnect_reason::ban_reason(&details.code)
            ),
            Event::ConnectFailure(details) => {
                tracing::warn!(device = %self.device, code = details.reason.code(), "the network refused the connection");
            }
            Event::LoggedOut(details) => {
                tracing::warn!(device = %self.device, code = details.reason.code(), "the network logged the device out");
            }
            _ => {}
        }
    }

    async fn on_event(
        &self,
        context: &Arc<ConnectionContext>,
        event: &Event,
        progress: &mut ConnectionProgress,
    ) -> Result<(), SessionEnd> {
        match event {
            // The phone has scanned a code already.
            Event::PairingQrCode(_) if self.passkey.is_pending() => Ok(()),
            Event::PairingQrCode(details) => {
                self.await_link(&context.client);
                self.show_code(details.code.clone(), details.timeout).await
            }
            Event::PairingQrCodesExhausted(_) => {
                progress.codes_shown = true;
                Ok(())
            }
            // The device is linked already.
            Event::PairPasskeyRequest(_) | Event::PairPasskeyConfirmation(_) | Event::PairPasskeyError(_)
                if progress.paired || progress.open =>
            {
                Ok(())
            }
            Event::PairPasskeyRequest(_) | Event::PairPasskeyConfirmation(_) | Event::PairPasskeyError(_) => {
                context.code_rotation.hold();
                match self.passkey.on_event(&self.device, &context.client, event).await? {
                    Some(event) => self.deliver(event).await,
                    None => Ok(()),
                }
            }
            Event::PairSuccess(details) => {
                self.end_link_wait();
                self.passkey.clear();
                progress.paired = true;
                // First the account, then the event about it.
                self.save_account(&context.client).await?;
                self.on_scanned(linking::account_of(details)).await
            }
            Event::Connected(_) => {
                progress.open = true;
                self.mark_link_complete().await;
                self.on_open(context).await
            }
            other => event_pump::dispatch(context, other).await.map_err(|error| self.log_ingest_error(error)),
        }
    }

    /// Stores the account now; the library would do it later and without a way to wait.
    async fn save_account(&self, client: &Client) -> Result<(), SessionEnd> {
        let account = client.persistence_manager().get_device_snapshot();
        self.backend.save(&account).await.map_err(|error| {
            tracing::warn!(device = %self.device, %error, "the account could not be stored");
            SessionEnd::LinkLost(Reason::EngineError)
        })
    }

    async fn on_open(&self, context: &Arc<ConnectionContext>) -> Result<(), SessionEnd> {
        let Some(own) = context.client.pn() else {
            return Err(SessionEnd::LinkLost(Reason::EngineError));
        };
        let account = linking::account(own.user_base(), &context.client.push_name());
        self.save_account(&context.client).await?;
        groups::start_reading(context).await;
        // Before the event: its receivers may send at once.
        self.set_online(Some(Arc::clone(context)));
        context.open.cancel();
        self.deliver(EngineEvent::Opened(account)).await
    }

    async fn on_keepalive(&self, result: Keepalive) -> Result<(), SessionEnd> {
        match result {
            Keepalive::Alive(ms) => self.deliver(EngineEvent::Latency { ms }).await,
            Keepalive::Silent => Err(SessionEnd::LinkLost(Reason::KeepaliveTimeout)),
            // The connection's own event has the reason.
            Keepalive::Gone => Ok(()),
        }
    }
}

/// Runs an ingestion; `true` if the connection ended meanwhile. The connection is not read at first, which
/// slows the network. Then it is read again, because ingesting may itself wait for an answer of the network.
async fn run_while_reading(
    ingesting: impl Future<Output = ()>,
    running: &mut (impl Future<Output = ()> + Unpin),
) -> bool {
    let mut ingesting = std::pin::pin!(ingesting);
    tokio::select! {
        biased;
        () = &mut ingesting => return false,
        () = tokio::time::sleep(MOMENT) => {}
    }
    tokio::select! {
        biased;
        () = &mut ingesting => false,
        () = running => {
            ingesting.await;
            true
        }
    }
}
