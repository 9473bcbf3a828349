//! Contacts: queries about one, and the list of all.

use super::backfill::{ListPage, PAGE_LEN};
use super::convert::event_in::contact_update;
use super::session::RemoteSession;
use crate::domain::contact::{Contact, ContactUpdate};
use crate::engine::{Answer, EngineEvent, Query, SessionEnd, SessionError};

const MAX_CONTACTS: usize = 200_000;

impl RemoteSession {
    /// See [`crate::engine::Session::query`].
    pub(super) async fn query_contact(&self, query: Query) -> Result<Answer, SessionError> {
        let (contact, what) = match &query {
            Query::Exists(contact) => (contact.to_string(), "exists"),
            Query::ProfilePicture(contact) => (contact.to_string(), "profile-picture"),
        };
        let answer = self.client.get(&["contacts", &contact, what]).await;
        let answer = answer.map_err(|failure| failure.session_error())?;
        Ok(match query {
            Query::Exists(_) => Answer::Exists(answer["exists"] == true),
            Query::ProfilePicture(_) => {
                Answer::ProfilePicture(answer["profilePicUrl"].as_str().map(str::to_owned))
            }
        })
    }

    /// Delivers all contacts, page by page.
    pub(super) async fn deliver_contacts(&self) -> Result<(), SessionEnd> {
        for offset in (0..MAX_CONTACTS).step_by(PAGE_LEN) {
            let page = self.list_page::<Contact>("contact", "contacts", offset).await?;
            let Some(ListPage { values, is_last }) = page else { break };
            let contacts: Vec<ContactUpdate> = values.into_iter().map(contact_update).collect();
            if !contacts.is_empty() {
                self.relay.deliver(EngineEvent::Contacts(contacts)).await?;
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }
}
