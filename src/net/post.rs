//! Posts a body and returns the status of the answer. The body of the answer is discarded.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;
use url::Url;

use super::client::{GuardedClient, NetError, failed};

/// Bytes of an answer that are read so that its connection can be reused; a longer answer closes the connection.
const READ_ON: usize = 16 * 1024;
/// Time limit for reading the rest of an answer.
const READ_ON_FOR: Duration = Duration::from_secs(1);

/// A request body with its headers and time limit.
#[derive(Debug)]
pub struct Post {
    /// The header `Content-Type`.
    pub content_type: &'static str,
    /// Headers besides the content type.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Time limit until the head of the answer arrives.
    pub timeout: Duration,
}

/// The answer of a server without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The unparsed header `Retry-After`.
    pub retry_after: Option<String>,
}

impl GuardedClient {
    /// Posts a body; a redirect is returned as an answer.
    ///
    /// # Errors
    /// [`NetError`] if there is no answer.
    pub async fn post(&self, url: &Url, post: Post) -> Result<Answer, NetError> {
        self.check(url)?;
        let deadline = Instant::now() + post.timeout;
        let looked_up = tokio::time::timeout_at(deadline, self.check_before_proxy(url)).await;
        looked_up.map_err(|_| NetError::Timeout)??;
        let left = deadline.saturating_duration_since(Instant::now());
        let request = self.client().await?.post(url.clone()).headers(headers(&post.headers)?);
        let request = request.header(CONTENT_TYPE, post.content_type).body(post.body).timeout(left);
        let response = request.send().await.map_err(failed)?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let answer =
            Answer { status: response.status().as_u16(), retry_after: retry_after.map(str::to_owned) };
        let _ = tokio::time::timeout(READ_ON_FOR, read_on(response)).await;
        Ok(answer)
    }
}

async fn read_on(mut response: reqwest::Response) {
    let mut read = 0;
    while read <= READ_ON {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, NetError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| NetError::Header)?;
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| NetError::Header)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Whether `name` and `value` form a valid header.
#[must_use]
pub fn is_header(name: &str, value: &str) -> bool {
    HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{client, serve};
    use super::*;

    fn post() -> Post {
        Post {
            content_type: "application/json",
            headers: vec![("x-test".to_owned(), "1".to_owned())],
            body: b"{}".to_vec(),
            timeout: Duration::from_millis(500),
        }
    }

    async fn posted(answer: &'static str) -> Result<Answer, NetError> {
        client(&["127.0.0.0/8"]).post(&serve(answer).await, post()).await
    }

    #[tokio::test]
    async fn post_returns_every_status_without_redirects() {
        let answer = posted("HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(answer, Answer { status: 204, retry_after: None });
        let busy = posted("HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(busy, Answer { status: 429, retry_after: Some("7".to_owned()) });
        let elsewhere = "HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(posted(elsewhere).await.unwrap().status, 307);
    }

    #[tokio::test]
    async fn endless_answer_is_answer() {
        assert_eq!(posted("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nx").await.unwrap().status, 200);
    }

    #[tokio::test]
    async fn missing_or_invalid_http_answer_is_failure() {
        assert!(matches!(posted("").await, Err(NetError::Timeout)));
        assert!(matches!(posted("what?\r\n\r\n").await, Err(NetError::Http(_))));
    }

    #[tokio::test]
    async fn private_address_is_refused_in_every_spelling() {
        for host in ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:7f00:1]"] {
            let url: Url = format!("http://{host}:9/").parse().unwrap();
            assert!(matches!(client(&[]).post(&url, post()).await, Err(NetError::Refused(_))), "{host}");
        }
    }
}
