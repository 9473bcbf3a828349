//! Exports and imports of chats. Both stream: no file is held in memory.

use std::io;

use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::loose::{parsed, parsed_list};
use crate::api::http::input::{Chat as ChatParam, Device, Query, Request};
use crate::api::http::schema;
use crate::domain::access::Scope;
use crate::domain::export::text::DateOrder;
use crate::domain::export::time_zone::Zone;
use crate::domain::jid::Jid;
use crate::service::{
    ExportFormat, ExportRequest, ImportFormat, ImportReport, ImportRequest, NamedAuthor, Services,
};

/// Keeps nginx from buffering the stream.
static UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::MessagesRead, &[], routes!(export))).routes(guarded(
        Scope::MessagesSend,
        &[],
        routes!(import),
    ))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportChat {
    /// `json`, with all fields of each message, or `text`, in the format of phones.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(json|text)$", default = "json")]
    format: ExportFormat,
    /// Exports a zip archive with the chat's files.
    #[serde(default)]
    #[param(value_type = Option<bool>, default = false)]
    media: bool,
    /// The time zone of a text: `UTC`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "Zone::utc", deserialize_with = "parsed")]
    #[param(value_type = Option<String>, max_length = 64, default = "UTC")]
    tz: Zone,
}

impl Request for ExportChat {}

/// Export a chat
///
/// A streamed file: JSON, the text that phones export (`31/01/2026, 14:05 - Anna: Hello`), or a zip archive of either
/// (`chat.json`, `chat.txt`) with the chat's files. In a text, a line that resembles the start of another message
/// starts with an invisible mark (U+2060), which an import removes. Messages that arrive during the export may be
/// missing; none is duplicated. An aborted export has no proper end.
#[utoipa::path(get, path = "/devices/{id}/chats/{chatId}/export", operation_id = "exportChat", tag = "chats",
    params(ExportChat),
    responses((status = 200, description = "The chat as a file",
        content(
        (Object = "application/json", example = json!({ "format": "wharf-chat", "version": 1, "exportedAt": 1_767_225_600_000_i64, "chat": { "id": "15550100001@c.us", "name": "Ada" }, "messages": [] })),
        (String = "text/plain", example = json!("31/12/2025, 23:59 - Ada: Happy new year\n")),
        (schema::Binary = "application/zip")),
        headers(("Content-Disposition" = String, description = "The file name")))))]
async fn export(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Query(ExportChat { format, media, tz }): Query<ExportChat>,
) -> Result<Response, ApiError> {
    let file =
        services.history.export_chat(&device, &chat, ExportRequest { format, media, zone: tz }).await?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(file.content_type)),
        (CONTENT_DISPOSITION, attachment(&file.filename)),
        UNBUFFERED.clone(),
    ];
    Ok((headers, Body::from_stream(file.bytes)).into_response())
}

/// RFC 6266: the name in ASCII for old clients, and in full.
fn attachment(filename: &str) -> HeaderValue {
    use std::fmt::Write as _;
    let plain = |c: char| if c.is_ascii_graphic() && !"\"\\%".contains(c) || c == ' ' { c } else { '_' };
    let ascii: String = filename.chars().map(plain).collect();
    let mut encoded = String::new();
    for byte in filename.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ImportChat {
    /// `json`, `text` or `zip`; detected from the first bytes by default.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(auto|json|text|zip)$", default = "auto")]
    format: ImportFormat,
    /// The chat of a text, which does not name it. For JSON the value is compared with the file.
    #[param(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    /// The author of a text who is our account: the name in the text, or the number.
    #[param(max_length = 256)]
    me: Option<String>,
    /// The time zone of a text: `UTC`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "Zone::utc", deserialize_with = "parsed")]
    #[param(value_type = Option<String>, max_length = 64, default = "UTC")]
    tz: Zone,
    /// The order of a text's dates: `dmy`, `mdy` or `ymd`; detected from the whole text by default.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(auto|dmy|mdy|ymd)$", default = "auto")]
    date_order: DateOrderChoice,
    /// The authors of a text, such as `Anna=15550100001,Ben=15550100002`. Others are searched among the device's
    /// contacts; an author without a match gets a placeholder id.
    #[serde(default, deserialize_with = "parsed_list")]
    #[param(value_type = Option<Vec<String>>, max_items = 2_000, style = Form, explode = false)]
    authors: Vec<NamedAuthor>,
}

impl Request for ImportChat {}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DateOrderChoice {
    #[default]
    Auto,
    Dmy,
    Mdy,
    Ymd,
}

impl From<DateOrderChoice> for Option<DateOrder> {
    fn from(choice: DateOrderChoice) -> Self {
        match choice {
            DateOrderChoice::Auto => None,
            DateOrderChoice::Dmy => Some(DateOrder::DayMonthYear),
            DateOrderChoice::Mdy => Some(DateOrder::MonthDayYear),
            DateOrderChoice::Ymd => Some(DateOrder::YearMonthDay),
        }
    }
}

/// The result of an import.
#[derive(ToSchema)]
#[schema(as = ImportReport, rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document; the service's own type is serialised")]
struct ImportReportObject {
    /// New messages.
    #[schema(minimum = 0)]
    imported: u64,
    /// Messages that exist already, or were deleted here.
    #[schema(minimum = 0)]
    skipped: u64,
    /// System lines, which are not messages.
    #[schema(minimum = 0)]
    system_lines: u64,
    /// The chat.
    chat_id: String,
    /// The files of the messages.
    media: ImportedMediaObject,
    /// The ids of a text's authors.
    authors: Vec<ImportedAuthorObject>,
}

/// The files of an import.
#[derive(ToSchema)]
#[schema(as = ImportedMedia)]
#[expect(dead_code, reason = "for the document; the service's own type is serialised")]
struct ImportedMediaObject {
    /// Messages with their file.
    #[schema(minimum = 0)]
    attached: u64,
    /// Messages whose file is missing in the export.
    #[schema(minimum = 0)]
    missing: u64,
    /// Messages whose file is too large or of a wrong type.
    #[schema(minimum = 0)]
    refused: u64,
}

/// An author of a text.
#[derive(ToSchema)]
#[schema(as = ImportedAuthor, rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document; the service's own type is serialised")]
struct ImportedAuthorObject {
    /// The name in the text.
    name: String,
    /// The id of the author.
    id: Option<String>,
    /// Whether the author is our account.
    is_me: bool,
    /// `false` for a placeholder id.
    known: bool,
}

/// Import a chat
///
/// The body is an export: JSON of this daemon, the text that phones export, or a zip archive of either with files. Its
/// messages become history: they emit no events and are not unread. Existing messages are skipped, so that repeating an
/// import adds nothing. An unreadable export stores nothing; a later failure reports how many messages are stored.
#[utoipa::path(post, path = "/devices/{id}/chats/import", operation_id = "importChat", tag = "chats",
    params(ImportChat),
    request_body(description = "The export: as JSON, or any of the three as bytes", content(
        (Object = "application/json", example = json!({ "format": "wharf-chat", "version": 1, "exportedAt": 1_767_225_600_000_i64, "chat": { "id": "15550100001@c.us", "name": "Ada" }, "messages": [] })),
        (schema::Binary = "application/octet-stream"))),
    responses((status = 200, description = "The result of the import", body = Success<ImportReportObject>)))]
async fn import(
    State(services): State<Services>,
    Device(device): Device,
    Query(query): Query<ImportChat>,
    request: HttpRequest,
) -> Result<Success<ImportReport>, ApiError> {
    if is_form(request.headers()) {
        return Err(ApiError::Form);
    }
    let ImportChat { format, chat_id, me, tz, date_order, authors } = query;
    let import =
        ImportRequest { format, chat: chat_id, me, zone: tz, date_order: date_order.into(), authors };
    let bytes = request.into_body().into_data_stream().map(|piece| piece.map_err(io::Error::other));
    Ok(Success::new(services.history.import_chat(&device, import, bytes.boxed()).await?))
}

/// `curl -F` sends a form.
fn is_form(headers: &HeaderMap) -> bool {
    let sent_as = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    sent_as.trim_start().to_ascii_lowercase().starts_with("multipart/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachment_has_names_for_old_and_new_clients() {
        let value = attachment("WhatsApp Chat with Jürgen 100%.txt");
        assert_eq!(
            value,
            "attachment; filename=\"WhatsApp Chat with J_rgen 100_.txt\"; \
             filename*=UTF-8''WhatsApp%20Chat%20with%20J%C3%BCrgen%20100%25.txt"
        );
    }
}
