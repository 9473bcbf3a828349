//! Files, which pass through piece by piece.

use std::time::Duration;

use futures_util::stream::StreamExt as _;

use super::client::Trouble;
use super::convert::message_in::{self, media_kind};
use super::convert::wire::WireMessage;
use super::session::WwebjsSession;
use crate::domain::content::{Attachment, Content};
use crate::domain::ids::NetworkId;
use crate::engine::{EngineEvent, Incoming, MediaStoreError, Quoted, SendOutcome, SessionEnd};
use crate::net::ExchangeBody;

use super::outbound::{permanent, transient, unknown};

/// How long one file may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The largest file that is asked for, in bytes; the store's own limit is lower.
const LARGEST: u64 = 4 << 30;

/// What a message consists of, as far as that can be had.
pub(super) enum Fetched {
    /// All of it; without a file where there is none, or it cannot be taken in.
    Content(Content),
    /// The file may be had at another time.
    NotNow(&'static str),
}

impl WwebjsSession {
    /// A message of the upstream's, with this as what it consists of, as one that came in.
    pub(super) async fn received(
        &self,
        message: &WireMessage,
        content: Content,
    ) -> Result<Incoming, SessionEnd> {
        let me = self.me();
        let quoted = match &message.quoted_message {
            None => None,
            Some(quoted) => Some(Quoted {
                id: self.kept(self.keeping.ours(&quoted.id).await)?,
                author: message_in::sender(quoted, me.as_ref()),
                body: quoted.body.clone().unwrap_or_default(),
            }),
        };
        let mut incoming = message_in::incoming(message, content, quoted, me.as_ref(), self.clock.now());
        incoming.network_id = self.kept(self.keeping.ours(&message.id).await)?.network;
        Ok(incoming)
    }

    /// Tells of a message.
    pub(super) async fn tell_message(
        &self,
        message: &WireMessage,
        content: Content,
    ) -> Result<(), SessionEnd> {
        let incoming = self.received(message, content).await?;
        self.tell(EngineEvent::Message(Box::new(incoming))).await
    }

    /// What a message consists of, with its file where it has one.
    pub(super) async fn fetched(&self, message: &WireMessage) -> Fetched {
        let Some(told) = media_kind(message) else { return Fetched::Content(without_file(message)) };
        let id = message.id.to_string();
        let path = ["messages", &id, "media", "download"];
        let answer = match self.client.stream(&path, Vec::new(), Vec::new(), (TIMEOUT, LARGEST)).await {
            Ok(answer) => answer,
            Err(Trouble::Refused { own: true, status: 400..=499, .. }) => {
                return self.without("the upstream does not have it", message);
            }
            Err(_) => return Fetched::NotNow("the upstream does not give it"),
        };
        match self.media.save(answer.body).await {
            Ok(file) => {
                let (kind, filename) = (told.of_told(&file.mimetype), message.filename.clone());
                Fetched::Content(Content::Media(Attachment { kind, file, filename }))
            }
            Err(MediaStoreError::TooLarge(_)) => self.without("it is too large", message),
            Err(MediaStoreError::Incomplete(_) | MediaStoreError::Gone) => Fetched::NotNow("it broke off"),
            Err(MediaStoreError::Store(error)) => {
                tracing::warn!(device = %self.device, %error, "a message's file could not be stored");
                Fetched::NotNow("it could not be stored")
            }
        }
    }

    fn without(&self, why: &'static str, message: &WireMessage) -> Fetched {
        tracing::warn!(device = %self.device, why, "a message comes without its file");
        Fetched::Content(without_file(message))
    }

    /// Hands a file over for a message of ours: once, however often that is tried. Answers the upstream's id of it.
    pub(super) async fn upload(
        &self,
        of: &NetworkId,
        attachment: &Attachment,
    ) -> Result<String, SendOutcome> {
        let not_kept = |_| unknown("the file's id at the upstream could not be read");
        if let Some(kept) = self.keeping.upload(of).await.map_err(not_kept)? {
            return Ok(kept);
        }
        let bytes = self.media.open(&attachment.file.hash).await.map_err(|error| match error {
            MediaStoreError::Gone => permanent("media_gone", "the file of this message is not kept any more"),
            _ => transient("media_unreadable", "the file of this message cannot be read now"),
        })?;
        let body = ExchangeBody::Stream { length: attachment.file.filesize, bytes: bytes.boxed() };
        let answer = self.client.upload(&["media"], &attachment.file.mimetype, body, TIMEOUT).await;
        let answer = answer.map_err(|trouble| match trouble {
            Trouble::Refused { status: 413, .. } => {
                permanent("media_too_large", "the upstream does not take files of this size")
            }
            Trouble::Unauthorized => transient("upstream_unauthorized", "the upstream refused the key"),
            Trouble::Refused { status: 429, .. } => {
                transient("rate_limited", "the upstream says that too much is sent")
            }
            Trouble::Refused { status: 400..=499, .. }
                if !trouble.is_passing() && !trouble.is_without_device() =>
            {
                permanent("media_not_taken", "the upstream did not take the file")
            }
            _ => transient("upload_failed", "the file could not be handed to the upstream"),
        })?;
        let media = answer["data"]["mediaId"].as_str();
        let media = media
            .ok_or_else(|| transient("upload_failed", "the upstream did not say how it names the file"))?;
        let kept = self.keeping.set_upload(of, media, self.clock.now()).await;
        kept.map_err(|_| transient("upload_failed", "how the upstream names the file could not be kept"))?;
        Ok(media.to_owned())
    }
}

/// What a message consists of besides its file.
pub(super) fn without_file(message: &WireMessage) -> Content {
    match media_kind(message) {
        Some(_) => Content::Other(message_in::kind(message)),
        None => message_in::content(message),
    }
}
