//! One connection of a session, from the first byte to the last.

use crate::engine::whatsapp::erased::erased;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use whatsapp_rust::Client;
use whatsapp_rust::store::Backend;
use whatsapp_rust::store::traits::DeviceStore as _;
use whatsapp_rust::types::events::Event;
use whatsapp_rust::wacore::runtime::Runtime as _;

use super::{GOODBYE, TASKS, WhatsAppSession};
use crate::domain::reason::Reason;
use crate::engine::whatsapp::acks::Acks;
use crate::engine::whatsapp::announcements::{self, Announced};
use crate::engine::whatsapp::app_state::{self, Owed};
use crate::engine::whatsapp::client::{self, Built};
use crate::engine::whatsapp::connected::Connected;
use crate::engine::whatsapp::convert::identities::Identities;
use crate::engine::whatsapp::durable::{Hook, Place};
use crate::engine::whatsapp::exists::Existence;
use crate::engine::whatsapp::liveness::{self, Pulse};
use crate::engine::whatsapp::pump::{self, Heard};
use crate::engine::whatsapp::runtime::Tasks;
use crate::engine::whatsapp::settings::History;
use crate::engine::whatsapp::{ended, groups, linking, resend};
use crate::engine::{EngineEvent, SessionEnd};

/// How long the network waits for what is being taken in.
const MOMENT: Duration = Duration::from_millis(50);

/// What comes after a connection.
pub(super) enum Outcome {
    /// Another one: the device was linked with this one.
    Again,
    /// The end.
    Ended(SessionEnd),
    /// The library panicked.
    Panicked,
}

/// What is known of a connection so far.
#[derive(Default)]
struct Progress {
    /// A phone accepted the link.
    paired: bool,
    /// It can send and receive.
    open: bool,
    /// Why it ends; the first reason counts.
    ended: Option<SessionEnd>,
}

impl Progress {
    fn outcome(&self) -> Outcome {
        match self.ended {
            // The network ends the connection in which a device was linked, and does not say why.
            None | Some(SessionEnd::LinkLost(_)) if self.paired && !self.open => Outcome::Again,
            Some(ended) => Outcome::Ended(ended),
            None if self.open => Outcome::Ended(SessionEnd::LinkLost(Reason::LinkDropped)),
            None => Outcome::Ended(SessionEnd::LinkLost(Reason::NetworkUnreachable)),
        }
    }
}

impl WhatsAppSession {
    /// Connects, and runs the connection to its end.
    pub(super) async fn connect_once(&self) -> Outcome {
        let tasks = Tasks::new();
        let acks = Arc::new(Acks::default());
        let (listener, heard) = pump::listen(Arc::clone(&acks));
        let place = Place::default();
        let hook = Hook(Arc::clone(&place));
        let backend: Arc<dyn Backend> = self.backend.clone();
        let built = client::build(&self.shared, &self.settings, backend, &tasks, hook, listener).await;
        let Built { client, tasks: parts } = match built {
            Ok(built) => built,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(device = %self.device, %error, cause, "the engine cannot connect");
                return Outcome::Ended(SessionEnd::LinkLost(Reason::EngineError));
            }
        };
        let connected = self.connection(&client, Arc::clone(&acks));
        let _ = place.set(Arc::downgrade(&connected));
        #[cfg(feature = "testbed")]
        self.shared.worlds.has_line(
            &self.device,
            Some(crate::engine::whatsapp::testbed::Line {
                client: Arc::downgrade(&client),
                flow: heard.flow(),
                tasks: Arc::new(tasks.runtime()),
                backend: Arc::clone(&self.backend),
            }),
        );
        let sharing = app_state::keep(Arc::clone(&connected), heard.flow());
        let remembering = announcements::keep(Arc::clone(&connected), heard.flow(), parts);
        tasks.runtime().spawn_detached(Box::pin(sharing));
        tasks.runtime().spawn_detached(Box::pin(remembering));
        let runner = Arc::clone(&client);
        let running = erased(async move { runner.run().await });
        let mut progress = Progress::default();
        self.follow(&connected, running, heard, &tasks, &mut progress).await;
        #[cfg(feature = "testbed")]
        self.shared.worlds.has_line(&self.device, None);
        self.set_online(None);
        self.waits_no_more();
        acks.close();
        let panicked = tasks.has_panicked();
        if !panicked && tokio::time::timeout(GOODBYE, erased(client.disconnect())).await.is_err() {
            tracing::warn!(device = %self.device, "the connection did not end in time");
        }
        tasks.end(TASKS).await;
        if panicked {
            return Outcome::Panicked;
        }
        let outcome = progress.outcome();
        if let Outcome::Ended(SessionEnd::LoggedOut(_)) = outcome {
            let incomplete = !progress.open && self.never_arrived().await;
            self.forget().await;
            if incomplete {
                return Outcome::Ended(SessionEnd::LinkLost(Reason::LinkIncomplete));
            }
        }
        outcome
    }

    fn connection(&self, client: &Arc<Client>, acks: Arc<Acks>) -> Arc<Connected> {
        let identities = Identities::new(client.pn().as_ref(), client.lid().as_ref());
        Arc::new(Connected {
            device: self.device.clone(),
            client: Arc::clone(client),
            identities: Arc::new(identities),
            inbound: Arc::clone(&self.inbound),
            vault: Arc::clone(&self.vault),
            media: Arc::clone(&self.media),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            acks,
            past: AtomicU64::new(0),
            parts: AtomicU64::new(0),
            announced: (self.settings.history != History::None).then(Announced::default),
            open: CancellationToken::new(),
            exists: Existence::default(),
            stalled: tokio::sync::Notify::new(),
            groups_told: Mutex::default(),
            owed: Owed::default(),
        })
    }

    /// Runs the client and takes in what it tells, until there is a reason to end.
    async fn follow(
        &self,
        connected: &Arc<Connected>,
        running: impl Future<Output = ()> + Unpin,
        heard: Heard,
        tasks: &Tasks,
        progress: &mut Progress,
    ) {
        let overflow = heard.overflow();
        let ended = tokio::select! {
            biased;
            () = self.cancel.cancelled() => SessionEnd::Closed,
            () = self.logged_out.cancelled() => SessionEnd::Closed,
            () = tasks.panicked() => return,
            () = overflow.cancelled() => {
                tracing::warn!(device = %self.device, "the network told more than could be taken in");
                SessionEnd::LinkLost(Reason::EngineError)
            }
            () = self.listen(connected, running, heard, progress) => return,
        };
        progress.ended = Some(ended);
    }

    async fn listen(
        &self,
        connected: &Arc<Connected>,
        mut running: impl Future<Output = ()> + Unpin,
        mut heard: Heard,
        progress: &mut Progress,
    ) {
        let mut pulse = Box::pin(liveness::beat(&connected.client, Duration::ZERO));
        while progress.ended.is_none() {
            tokio::select! {
                biased;
                Some(event) = heard.next() => {
                    let taken = self.take(connected, &event, progress);
                    if reading_on(taken, &mut running).await {
                        return self.take_rest(connected, &mut heard, progress).await;
                    }
                }
                () = connected.stalled.notified() => {
                    pulse = Box::pin(liveness::beat(&connected.client, Duration::ZERO));
                }
                missed = self.backend.missed(), if progress.open => {
                    if reading_on(resend::ask(connected, &missed), &mut running).await {
                        return self.take_rest(connected, &mut heard, progress).await;
                    }
                }
                told = &mut pulse, if progress.open => {
                    progress.ended = self.beat(told).await.err();
                    pulse = Box::pin(liveness::beat(&connected.client, liveness::BEAT));
                }
                () = &mut running => return self.take_rest(connected, &mut heard, progress).await,
            }
        }
    }

    /// What a connection that has ended said last.
    async fn take_rest(&self, connected: &Arc<Connected>, heard: &mut Heard, progress: &mut Progress) {
        while let Some(event) = heard.waiting() {
            self.take(connected, &event, progress).await;
        }
    }

    async fn take(&self, connected: &Arc<Connected>, event: &Event, progress: &mut Progress) {
        if let Some(ended) = ended::by_event(event) {
            self.note(event);
            progress.ended.get_or_insert(ended);
            return;
        }
        let taken = self.hear(connected, event, progress).await;
        if let Err(ended) = taken {
            progress.ended.get_or_insert(ended);
        }
    }

    /// Logs what the network gave as its reason, beyond the code that the device's state has.
    fn note(&self, event: &Event) {
        match event {
            Event::TemporaryBan(told) => tracing::warn!(
                device = %self.device,
                code = told.code.code(),
                seconds = told.expire.num_seconds(),
                "the network suspended the account: {}", ended::ban(&told.code)
            ),
            Event::ConnectFailure(told) => {
                tracing::warn!(device = %self.device, code = told.reason.code(), "the network refused the connection");
            }
            Event::LoggedOut(told) => {
                tracing::warn!(device = %self.device, code = told.reason.code(), "the network logged the device out");
            }
            _ => {}
        }
    }

    async fn hear(
        &self,
        connected: &Arc<Connected>,
        event: &Event,
        progress: &mut Progress,
    ) -> Result<(), SessionEnd> {
        match event {
            Event::PairingQrCode(told) => {
                self.waits(&connected.client);
                self.shows(told.code.clone(), told.timeout).await
            }
            Event::PairSuccess(told) => {
                self.waits_no_more();
                progress.paired = true;
                // First what makes it linked, then the news of it.
                self.save_account(&connected.client).await?;
                self.scanned(linking::account_of(told)).await
            }
            Event::Connected(_) => {
                progress.open = true;
                self.arrived().await;
                self.opened(connected).await
            }
            other => pump::tell(connected, other).await.map_err(|error| self.not_taken(error)),
        }
    }

    /// Stores the account as it is now: the library does so later, and nobody can wait for that.
    async fn save_account(&self, client: &Client) -> Result<(), SessionEnd> {
        let account = client.persistence_manager().get_device_snapshot();
        self.backend.save(&account).await.map_err(|error| {
            tracing::warn!(device = %self.device, %error, "the account could not be stored");
            SessionEnd::LinkLost(Reason::EngineError)
        })
    }

    async fn opened(&self, connected: &Arc<Connected>) -> Result<(), SessionEnd> {
        let Some(own) = connected.client.pn() else {
            return Err(SessionEnd::LinkLost(Reason::EngineError));
        };
        let account = linking::account(own.user_base(), &connected.client.push_name());
        self.save_account(&connected.client).await?;
        groups::tell_all(connected).await.map_err(|error| self.not_taken(error))?;
        // Before the news: whoever hears it may send at once.
        self.set_online(Some(Arc::clone(connected)));
        connected.open.cancel();
        self.tell(EngineEvent::Opened(account)).await
    }

    async fn beat(&self, pulse: Pulse) -> Result<(), SessionEnd> {
        match pulse {
            Pulse::Alive(ms) => self.tell(EngineEvent::Latency { ms }).await,
            Pulse::Silent => Err(SessionEnd::LinkLost(Reason::KeepaliveTimeout)),
            // How it ended is told by the connection itself.
            Pulse::Gone => Ok(()),
        }
    }
}

/// Takes something in, and whether the connection ended meanwhile. For a moment the network waits for it; then the
/// connection is read on, as what is being taken in may itself wait for an answer of the network.
async fn reading_on(
    taken: impl Future<Output = ()>,
    running: &mut (impl Future<Output = ()> + Unpin),
) -> bool {
    let mut taken = std::pin::pin!(taken);
    tokio::select! {
        biased;
        () = &mut taken => return false,
        () = tokio::time::sleep(MOMENT) => {}
    }
    tokio::select! {
        biased;
        () = &mut taken => false,
        () = running => {
            taken.await;
            true
        }
    }
}
