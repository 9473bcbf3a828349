//! The control API under `/control`, with which tests act as phones and people.
//!
//! `POST /control/scan` and `/control/pair` link; `/control/accounts/{number}/{verb}` has all other calls,
//! with one file for each group of verbs. Bodies and answers are those of Wharf's simulator and are checked
//! strictly: an error names an unknown field. A call that sends something to companions answers once they
//! have confirmed it.

mod content;
mod fault;
mod fields;
pub mod files;
mod groups;
mod incoming;
mod link;
mod message_actions;
mod people;
mod state;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::id::Id;
use crate::server::World;
use crate::server::phone_messages::Addressing;
use crate::server::state::Account;

/// The largest body of a call, in bytes.
const LARGEST: usize = 16 << 20;
/// The longest text in bytes.
const MAX_BODY: usize = 65_536;
/// How long a call waits for the companion's confirmation.
const WAIT: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Unknown verb.
    NotFound,
    /// Invalid field.
    Invalid {
        /// The field's path.
        field: String,
        /// A sentence with the valid values.
        message: String,
    },
    /// Valid, but not possible now.
    Impossible {
        /// A stable code in `snake_case`.
        code: &'static str,
        /// A sentence for people.
        message: String,
    },
}

type Answer = Result<Value, Refusal>;

/// The routes, nested under `/control`.
pub fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/scan", post(scan))
        .route("/pair", post(pair))
        .route("/accounts/{number}/{verb}", any(account))
        .layer(DefaultBodyLimit::max(LARGEST))
}

impl Refusal {
    fn impossible(code: &'static str, message: impl Into<String>) -> Self {
        Self::Impossible { code, message: message.into() }
    }

    fn not_linked() -> Self {
        Self::impossible("not_linked", "no phone has linked this device")
    }

    fn not_acknowledged() -> Self {
        let message = "the device did not confirm it in time; it waits in the network";
        Self::impossible("not_acknowledged", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::NotFound => {
                (StatusCode::NOT_FOUND, json!({ "code": "not_found", "message": "there is no such call" }))
            }
            Self::Invalid { field, message } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({ "code": "invalid_field", "message": message, "field": field }),
            ),
            Self::Impossible { code, message } => {
                (StatusCode::CONFLICT, json!({ "code": code, "message": message }))
            }
        };
        (status, Json(body)).into_response()
    }
}

async fn scan(State(world): State<Arc<World>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    link::scan(&world, &object(&body)?).await.map(Json)
}

async fn pair(State(world): State<Arc<World>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    link::pair(&world, &object(&body)?).await.map(Json)
}

async fn account(
    State(world): State<Arc<World>>,
    Path((number, verb)): Path<(String, String)>,
    method: Method,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let account = world.directory.find(&number).or_else(|| world.directory.linked_as(&number));
    let account = account.ok_or_else(Refusal::not_linked)?;
    let call = Call { world, account };
    call.serve(&method, &verb, &body).await.map(Json)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let wrong = |message: &str| Refusal::Invalid { field: "body".to_owned(), message: message.to_owned() };
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(wrong("must be an object")),
        Err(error) => Err(wrong(&format!("is not JSON: {error}"))),
    }
}

/// One call for one account.
struct Call {
    world: Arc<World>,
    account: Arc<Account>,
}

impl Call {
    async fn serve(&self, method: &Method, verb: &str, body: &[u8]) -> Answer {
        if verb == "network" {
            return self.network(method);
        }
        if method != Method::POST {
            return Err(Refusal::NotFound);
        }
        let map = object(body)?;
        match verb {
            "incoming" => self.incoming(&map).await,
            "receipt" => self.receipt(&map).await,
            "reaction" => self.reaction(&map).await,
            "vote" => self.vote(&map).await,
            "edit" => self.edit(&map).await,
            "revoke" => self.revoke(&map).await,
            "typing" => self.typing(&map).await,
            "presence" => self.presence(&map).await,
            "call" => self.call(&map).await,
            "contact" => self.contact(&map).await,
            "group" => self.group(&map).await,
            "chat" => self.chat(&map).await,
            "star" => self.star(&map).await,
            "delete" => self.delete(&map).await,
            "read" => self.read(&map).await,
            "fault" => self.fault(&map).await,
            _ => Err(Refusal::NotFound),
        }
    }

    fn network(&self, method: &Method) -> Answer {
        if method == Method::GET {
            let state = self.account.lock();
            let waiting: usize = state.companions.values().map(|companion| companion.queue.len()).sum();
            let mut view = state.network_view.view();
            view["waiting"] = json!(waiting);
            return Ok(view);
        }
        if method == Method::DELETE {
            self.account.lock().network_view = crate::server::network_view::NetworkView::default();
            return Ok(json!({}));
        }
        Err(Refusal::NotFound)
    }

    fn linked(&self) -> Result<(), Refusal> {
        if self.account.devices().is_empty() { Err(Refusal::not_linked()) } else { Ok(()) }
    }

    /// Requires a connected companion, for stanzas that are not queued.
    fn online(&self) -> Result<(), Refusal> {
        if self.account.lock().companions.values().any(|companion| companion.active) {
            return Ok(());
        }
        Err(Refusal::impossible("not_connected", "the device is not connected to its network"))
    }

    /// The account of a person, and how the wire names it.
    fn account_of(&self, field: &str, who: &Id) -> Result<(Arc<Account>, Addressing), Refusal> {
        let invalid =
            |message: &str| Refusal::Invalid { field: field.to_owned(), message: message.to_owned() };
        match who {
            Id::Number(number) => {
                let found = self.world.directory.get_or_create(number);
                let addressing = match found.as_ref().map(|found| &found.number) {
                    Some(number) if self.account.lock().hidden_numbers.contains(number) => {
                        Addressing::LidOnly
                    }
                    _ => Addressing::Number,
                };
                found.map(|found| (found, addressing)).ok_or_else(|| invalid("is not a registered number"))
            }
            Id::Lid(lid) => {
                let found = self.world.directory.get_or_create_by_lid(lid);
                found.map(|found| (found, Addressing::LidOnly)).ok_or_else(|| invalid("is not a LID"))
            }
            Id::Group(_) => Err(invalid("must be a person")),
        }
    }
}

/// Waits until all companions have confirmed.
async fn confirmed(receivers: Vec<oneshot::Receiver<()>>, wait: Duration) -> Result<(), Refusal> {
    let until = Instant::now() + wait;
    for receiver in receivers {
        match timeout_at(until, receiver).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Refusal::not_acknowledged()),
        }
    }
    Ok(())
}
