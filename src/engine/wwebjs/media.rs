//! Files, which pass through piece by piece.

use std::time::Duration;

use futures_util::stream::StreamExt as _;

use super::client::Trouble;
use super::convert::message_in::{self, media_kind};
use super::convert::wire::WireMessage;
use super::session::WwebjsSession;
use crate::domain::content::{Attachment, Content};
use crate::domain::ids::NetworkId;
use crate::engine::{Ended, Incoming, MediaStoreError, Quoted, SendOutcome};
use crate::net::ExchangeBody;

use super::outbound::{permanent, transient, unknown};

/// How long one file may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The largest file that is asked for, in bytes; the store's own limit is lower.
const LARGEST: u64 = 4 << 30;
/// Tries to get a file.
const TRIES: u32 = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a file could not be had.
enum Missing {
    /// There is none, or it cannot be taken in.
    ForGood,
    /// The upstream may still give it.
    ForNow(Trouble),
}

impl WwebjsSession {
    /// A message of the upstream's with its file, as one that came in. A file that cannot be had is left out.
    pub(super) async fn received(&self, message: &WireMessage, with_file: bool) -> Result<Incoming, Ended> {
        let content = match media_kind(message) {
            Some(_) if with_file => self.file_of(message).await?,
            Some(_) => Content::Other(message_in::kind(message)),
            None => message_in::content(message),
        };
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

    async fn file_of(&self, message: &WireMessage) -> Result<Content, Ended> {
        let without = Content::Other(message_in::kind(message));
        for attempt in 1..=TRIES {
            match self.download(message).await {
                Ok(content) => return Ok(content),
                Err(Missing::ForGood) => return Ok(without),
                Err(Missing::ForNow(_)) if attempt < TRIES => tokio::time::sleep(PAUSE).await,
                // An upstream that is away gives it later; one that is there does not.
                Err(Missing::ForNow(trouble)) => {
                    self.answered(self.show().await)?;
                    tracing::warn!(device = %self.device, error = %trouble, "a message came without its file");
                }
            }
        }
        Ok(without)
    }

    async fn download(&self, message: &WireMessage) -> Result<Content, Missing> {
        let id = message.id.to_string();
        let path = ["messages", &id, "media", "download"];
        let answer = match self.client.stream(&path, Vec::new(), Vec::new(), (TIMEOUT, LARGEST)).await {
            Ok(answer) => answer,
            Err(trouble) if trouble.is_passing() => return Err(Missing::ForNow(trouble)),
            Err(_) => return Err(Missing::ForGood),
        };
        let file = self.media.save(answer.body).await.map_err(|error| match error {
            MediaStoreError::Incomplete(_) => Missing::ForNow(Trouble::BrokenOff),
            error => {
                tracing::warn!(device = %self.device, %error, "a message's file could not be kept");
                Missing::ForGood
            }
        })?;
        let told = media_kind(message).ok_or(Missing::ForGood)?;
        let kind = told.of_told(&file.mimetype);
        Ok(Content::Media(Attachment { kind, file, filename: message.filename.clone() }))
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
            Trouble::Refused { status, .. } if status < 500 && status != 429 => {
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
