//! What the upstream knows of people.

use super::client::{Ask, Trouble};
use super::convert::entry_in::contact_update;
use super::groups::PAGE;
use super::session::WwebjsSession;
use crate::domain::contact::{Contact, ContactUpdate};
use crate::engine::{Answer, EngineEvent, Query, SessionEnd, SessionError};

/// People that are read at most.
const MOST_CONTACTS: usize = 200_000;

impl WwebjsSession {
    /// See [`crate::engine::Session::query`].
    pub(super) async fn asks(&self, query: Query) -> Result<Answer, SessionError> {
        let (person, what) = match &query {
            Query::Exists(person) => (person.to_string(), "exists"),
            Query::ProfilePicture(person) => (person.to_string(), "profile-picture"),
        };
        let told = self.client.data(Ask::get(&["contacts", &person, what])).await;
        let told = told.map_err(Trouble::into_session_error)?;
        Ok(match query {
            Query::Exists(_) => Answer::Exists(told["exists"] == true),
            Query::ProfilePicture(_) => {
                Answer::ProfilePicture(told["profilePicUrl"].as_str().map(str::to_owned))
            }
        })
    }

    /// Tells of all people that the upstream knows.
    pub(super) async fn tell_contacts(&self) -> Result<(), SessionEnd> {
        let mut read = 0;
        while read < MOST_CONTACTS {
            let ask = Ask::get(&["contacts"]).query("limit", &PAGE).query("offset", &read);
            let mut page = match self.client.ask(ask).await {
                Err(trouble) if trouble.is_nothing_there() => break,
                Err(Trouble::Refused { status: 422, .. }) => break,
                page => self.answered(page)?,
            };
            let (listed, count) = self.read_page::<Contact>("a contact", &mut page);
            read += count;
            let last = count < PAGE;
            let people: Vec<ContactUpdate> = listed.into_iter().map(contact_update).collect();
            if !people.is_empty() {
                self.tell(EngineEvent::Contacts(people)).await?;
            }
            if last {
                break;
            }
        }
        Ok(())
    }
}
