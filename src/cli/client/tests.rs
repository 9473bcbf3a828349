//! Tests of the client against an HTTP server on a real socket.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::error::details_text;
use super::*;
use crate::cli::exit::Exit;

/// A server that ends with its test.
struct Server {
    url: String,
    _tasks: JoinSet<()>,
}

async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { url, _tasks: tasks }
}

fn refusal(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "7")], body.to_string()).into_response()
}

async fn echo(headers: HeaderMap, uri: Uri) -> axum::Json<Value> {
    let key = headers.get("x-api-key").map(|key| key.to_str().unwrap());
    axum::Json(json!({ "success": true, "data": { "key": key, "uri": uri.to_string() }, "pagination": {} }))
}

#[tokio::test]
async fn client_sends_key_and_unwraps_envelope() {
    let server = serve(Router::new().fallback(echo)).await;
    let client = Client::new(&server.url, Some("whf_a_b")).unwrap();
    let data = client.get(&["devices", "a b", "true_1@c.us_X"], &[("q", "ä&".to_owned())]).await.unwrap();
    assert_eq!(data, json!({ "key": "whf_a_b", "uri": "/api/v1/devices/a%20b/true_1@c.us_X?q=%C3%A4%26" }));
}

#[tokio::test]
async fn client_reads_all_pages_of_list() {
    let answer = |uri: Uri| async move {
        let offset: i64 = uri.query().unwrap().rsplit('=').next().unwrap().parse().unwrap();
        let more = offset < 4;
        axum::Json(
            json!({ "success": true, "data": [offset, offset + 1], "pagination": { "hasMore": more } }),
        )
    };
    let server = serve(Router::new().fallback(answer)).await;
    let client = Client::new(&server.url, None).unwrap();
    assert_eq!(client.get_list(&["devices"]).await.unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn client_keeps_base_path_of_url() {
    let server = serve(Router::new().fallback(echo)).await;
    for path in ["/wharf", "/wharf/"] {
        let client = Client::new(&format!("{}{path}", server.url), None).unwrap();
        let data = client.get(&["stats"], &[]).await.unwrap();
        assert_eq!(data, json!({ "key": null, "uri": "/wharf/api/v1/stats" }));
    }
}

#[tokio::test]
async fn error_answers_are_typed() {
    let body = json!({ "success": false, "error": "The text is missing", "code": "invalid", "details": { "text": "is required" } });
    let answer = move || async move { refusal(422, &body) };
    let server = serve(Router::new().route("/api/v1/x", post(answer))).await;
    let error = Client::new(&server.url, None).unwrap().post(&["x"], &json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "The text is missing\n  text: is required");
    assert_eq!((error.code(), error.exit()), ("invalid", Exit::Conflict));
    assert_eq!(error.hint().as_deref(), Some("Try again in 7 s."));
    assert!(!error.is_passing());
}

#[tokio::test]
async fn missing_and_wrong_key_have_different_hints() {
    let answer =
        || async { refusal(401, &json!({ "success": false, "error": "no", "code": "unauthorized" })) };
    let server = serve(Router::new().fallback(answer)).await;
    let without = Client::new(&server.url, None).unwrap().get(&["x"], &[]).await.unwrap_err();
    let with = Client::new(&server.url, Some("k")).unwrap().get(&["x"], &[]).await.unwrap_err();
    assert_eq!((without.exit(), with.exit()), (Exit::Unauthorized, Exit::Unauthorized));
    assert!(without.hint().unwrap().starts_with("Give a key"));
    assert!(with.hint().unwrap().starts_with("Check --key"));
}

#[tokio::test]
async fn client_does_not_follow_redirects() {
    let router = Router::new()
        .route("/api/v1/x", get(|| async { Redirect::temporary("/api/v1/y") }))
        .route("/api/v1/y", get(echo));
    let server = serve(router).await;
    let error = Client::new(&server.url, Some("k")).unwrap().get(&["x"], &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::NotWharf { .. }), "{error}");
}

#[tokio::test]
async fn answer_of_other_server_is_not_wharf() {
    let server = serve(Router::new().fallback(|| async { "<html>hello</html>" })).await;
    let client = Client::new(&server.url, None).unwrap();
    let error = client.get(&["x"], &[]).await.unwrap_err();
    assert_eq!((error.code(), error.exit()), ("not_wharf", Exit::Error));
    let error = client.stream(&["x"], &[], None).await.unwrap_err();
    assert!(error.to_string().contains("does not send an event stream"), "{error}");
}

#[tokio::test]
async fn refused_connection_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(&url, Some("whf_a_secret")).unwrap().get(&["x"], &[]).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Unreachable);
    assert!(error.to_string().starts_with(&format!("cannot reach a daemon at {url}: ")), "{error}");
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn client_resumes_event_stream() {
    let answer = |headers: HeaderMap| async move {
        let accept = headers.get("accept").unwrap().to_str().unwrap().to_owned();
        let last = headers.get("last-event-id").map_or("none", |id| id.to_str().unwrap()).to_owned();
        ([("content-type", "text/event-stream")], format!("data: {accept} {last}\n\n"))
    };
    let server = serve(Router::new().fallback(answer)).await;
    let client = Client::new(&server.url, None).unwrap();
    let text = client.stream(&["x"], &[], Some("41")).await.unwrap().text().await.unwrap();
    assert_eq!(text, "data: text/event-stream 41\n\n");
}

#[test]
fn url_and_key_are_validated_before_request() {
    for url in ["", "127.0.0.1:3000", "ftp://example.org", "http://"] {
        assert!(matches!(Client::new(url, None), Err(ClientError::Url { .. })), "{url}");
    }
    assert!(matches!(Client::new("http://127.0.0.1", Some("a\nb")), Err(ClientError::Key)));
    let client = Client::new("https://user:pass@example.org/x/", Some("whf_a_secret")).unwrap();
    let shown = format!("{client:?}");
    assert!(
        shown.contains("https://example.org/x") && !shown.contains("pass") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn error_details_are_printed_in_every_shape() {
    let list = json!([{ "field": "to", "message": "is no number" }, "odd\u{1b}"]);
    assert_eq!(details_text(Some(&list)), "\n  to: is no number\n  odd·");
    assert_eq!(details_text(None), "");
}
