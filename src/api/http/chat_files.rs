//! Chats as files: out as a stream, and in.

use std::io;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::guarded;
use super::input::{Chat as ChatParam, Device, Fields, FromFields, Query};
use super::schema;
use crate::domain::access::Scope;
use crate::domain::export::text::DateOrder;
use crate::domain::export::time_zone::Zone;
use crate::domain::jid::Jid;
use crate::service::{
    ExportFormat, ExportRequest, ImportFormat, ImportReport, ImportRequest, NamedAuthor, Services,
};

const NAME_CHARS: usize = 256;
const MAX_AUTHORS: usize = 2_000;
const EXPORT_FORMATS: [(&str, ExportFormat); 2] =
    [("json", ExportFormat::Json), ("text", ExportFormat::Text)];
const IMPORT_FORMATS: [(&str, ImportFormat); 4] = [
    ("auto", ImportFormat::Auto),
    ("json", ImportFormat::Json),
    ("text", ImportFormat::Text),
    ("zip", ImportFormat::Zip),
];
const DATE_ORDERS: [(&str, Option<DateOrder>); 4] = [
    ("auto", None),
    ("dmy", Some(DateOrder::DayMonthYear)),
    ("mdy", Some(DateOrder::MonthDayYear)),
    ("ymd", Some(DateOrder::YearMonthDay)),
];
/// Keeps nginx from holding the stream back.
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

fn zone(fields: &mut Fields) -> Zone {
    fields.parsed("tz").unwrap_or_else(Zone::utc)
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportChat {
    /// `json`, with all that is known of each message, or `text`, as phones export.
    #[param(value_type = Option<String>, pattern = "^(json|text)$", default = "json")]
    format: ExportFormat,
    /// Whether as a zip archive with the chat's files.
    #[param(value_type = Option<bool>, default = false)]
    media: bool,
    /// In whose local time a text is: `UTC`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[param(value_type = Option<String>, max_length = 64, default = "UTC")]
    tz: Zone,
}

impl FromFields for ExportChat {
    fn read(fields: &mut Fields) -> Option<Self> {
        let format = fields.word("format", &EXPORT_FORMATS).unwrap_or_default();
        let media = fields.boolean("media").unwrap_or(false);
        Some(Self { format, media, tz: zone(fields) })
    }
}

/// Export a chat
///
/// A file, streamed: JSON, the text that phones export (`31/01/2026, 14:05 - Anna: Hello`), or a zip archive of
/// either (`chat.json`, `chat.txt`) with the chat's files. In a text, a line of a message that looks like the
/// beginning of another has an invisible mark (U+2060) before it, which importing takes away. Messages that
/// arrive meanwhile are in it or not; none is in it twice. An export that breaks off has no proper end.
#[utoipa::path(get, path = "/devices/{id}/chats/{chatId}/export", operation_id = "exportChat", tag = "chats",
    params(ExportChat),
    responses((status = 200, description = "The chat as a file",
        content(
        (Object = "application/json", example = json!({ "format": "wharf-chat", "version": 1, "exportedAt": 1_767_225_600_000_i64, "chat": { "id": "15550100001@c.us", "name": "Ada" }, "messages": [] })),
        (String = "text/plain", example = json!("31/12/2025, 23:59 - Ada: Happy new year\n")),
        (schema::Binary = "application/zip")),
        headers(("Content-Disposition" = String, description = "What the file should be called")))))]
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

/// RFC 6266: a name in ASCII for old clients, and the name itself.
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

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct ImportChat {
    /// `json`, `text` or `zip`; by default as it begins.
    #[param(value_type = Option<String>, pattern = "^(auto|json|text|zip)$", default = "auto")]
    format: ImportFormat,
    /// The chat that a text belongs to: a text does not say. For JSON it is checked, where it is given.
    #[param(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    /// Which of a text's authors is our account: the name as it stands there, or the number.
    #[param(max_length = 256)]
    me: Option<String>,
    /// In whose local time a text is: `UTC`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[param(value_type = Option<String>, max_length = 64, default = "UTC")]
    tz: Zone,
    /// The order of a text's dates: `dmy`, `mdy` or `ymd`; by default as the whole text tells.
    #[param(value_type = Option<String>, pattern = "^(auto|dmy|mdy|ymd)$", default = "auto")]
    date_order: Option<DateOrder>,
    /// Who a text's authors are, such as `Anna=15550100001,Ben=15550100002`. Others are looked for among the
    /// device's contacts; who is not found gets an id that stands for theirs.
    #[param(value_type = Option<Vec<String>>, max_items = 2_000, style = Form, explode = false)]
    authors: Vec<NamedAuthor>,
}

impl FromFields for ImportChat {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            format: fields.word("format", &IMPORT_FORMATS).unwrap_or_default(),
            chat_id: fields.parsed("chatId"),
            me: fields.text("me", NAME_CHARS),
            tz: zone(fields),
            date_order: fields.word("dateOrder", &DATE_ORDERS).flatten(),
            authors: fields.list("authors", MAX_AUTHORS).unwrap_or_default(),
        })
    }
}

/// What an import did.
#[derive(ToSchema)]
#[schema(as = ImportReport, rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document; the service's own type is serialised")]
struct ImportReportObject {
    /// Messages that are new.
    #[schema(minimum = 0)]
    imported: u64,
    /// Messages that were there, or had been removed here.
    #[schema(minimum = 0)]
    skipped: u64,
    /// Lines of the system, which are no messages.
    #[schema(minimum = 0)]
    system_lines: u64,
    /// The chat.
    chat_id: String,
    /// Files.
    media: ImportedMediaObject,
    /// Who the authors of a text were taken for.
    authors: Vec<ImportedAuthorObject>,
}

/// What became of the files of an import.
#[derive(ToSchema)]
#[schema(as = ImportedMedia)]
#[expect(dead_code, reason = "for the document; the service's own type is serialised")]
struct ImportedMediaObject {
    /// Messages that have their file.
    #[schema(minimum = 0)]
    attached: u64,
    /// Messages whose file the export does not have.
    #[schema(minimum = 0)]
    missing: u64,
    /// Messages whose file is too large or not what it should be.
    #[schema(minimum = 0)]
    refused: u64,
}

/// Who an author of a text was taken for.
#[derive(ToSchema)]
#[schema(as = ImportedAuthor, rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document; the service's own type is serialised")]
struct ImportedAuthorObject {
    /// What the text calls them.
    name: String,
    /// Who that is.
    id: Option<String>,
    /// Whether that is our account.
    is_me: bool,
    /// Whether the id is theirs, or stands for it.
    known: bool,
}

/// Import a chat
///
/// The body is an export: JSON as this daemon writes it, the text that phones export, or a zip archive of
/// either with files. Its messages become history: nothing is told of them, none is unread. Messages that are
/// there already are skipped, so that the same import twice adds nothing. An export that cannot be read stores
/// nothing; what ends an import later says how many messages are in.
#[utoipa::path(post, path = "/devices/{id}/chats/import", operation_id = "importChat", tag = "chats",
    params(ImportChat),
    request_body(description = "The export: as JSON, or any of the three as bytes", content(
        (Object = "application/json", example = json!({ "format": "wharf-chat", "version": 1, "exportedAt": 1_767_225_600_000_i64, "chat": { "id": "15550100001@c.us", "name": "Ada" }, "messages": [] })),
        (schema::Binary = "application/octet-stream"))),
    responses((status = 200, description = "What was imported", body = Success<ImportReportObject>)))]
async fn import(
    State(services): State<Services>,
    Device(device): Device,
    Query(query): Query<ImportChat>,
    request: Request,
) -> Result<Success<ImportReport>, ApiError> {
    if is_form(request.headers()) {
        return Err(ApiError::Form);
    }
    let ImportChat { format, chat_id, me, tz, date_order, authors } = query;
    let wanted = ImportRequest { format, chat: chat_id, me, zone: tz, date_order, authors };
    let bytes = request.into_body().into_data_stream().map(|piece| piece.map_err(io::Error::other));
    Ok(Success::new(services.history.import_chat(&device, wanted, bytes.boxed()).await?))
}

/// As `curl -F` sends.
fn is_form(headers: &HeaderMap) -> bool {
    let sent_as = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    sent_as.trim_start().to_ascii_lowercase().starts_with("multipart/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_for_old_and_new_clients() {
        let value = attachment("WhatsApp Chat with Jürgen 100%.txt");
        assert_eq!(
            value,
            "attachment; filename=\"WhatsApp Chat with J_rgen 100_.txt\"; \
             filename*=UTF-8''WhatsApp%20Chat%20with%20J%C3%BCrgen%20100%25.txt"
        );
    }
}
