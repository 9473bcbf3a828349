//! What the upstream knows of people.

use serde_json::Value;

use super::client::{Ask, Trouble};
use super::convert::entry_in::contact_update;
use super::groups::PAGE;
use super::session::WwebjsSession;
use crate::domain::contact::{Contact, ContactUpdate};
use crate::engine::{Answer, Ended, EngineEvent, Query, SessionError};

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
    pub(super) async fn tell_contacts(&self) -> Result<(), Ended> {
        let mut read = 0;
        while read < MOST_CONTACTS {
            let ask = Ask::get(&["contacts"]).query("limit", &PAGE).query("offset", &read);
            let page = match self.client.ask(ask).await {
                Err(Trouble::Refused { status: 404 | 405 | 422, .. }) => break,
                page => self.answered(page)?,
            };
            let listed = page["data"].as_array().cloned().unwrap_or_default();
            read += listed.len();
            let last = listed.len() < PAGE;
            let people: Vec<ContactUpdate> = listed.into_iter().filter_map(contact).collect();
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

fn contact(value: Value) -> Option<ContactUpdate> {
    serde_json::from_value::<Contact>(value).ok().map(contact_update)
}
