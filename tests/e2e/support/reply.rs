//! An HTTP answer of the daemon with assertions on status and envelope. Each assertion prints the
//! body on failure.

use reqwest::header::HeaderMap;
use serde_json::Value;

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{} is not JSON: {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts success with this status and returns the body.
    #[track_caller]
    pub fn with_status(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        let body = self.with_status(200);
        assert_eq!(body["success"], true, "{body}");
        body
    }

    #[track_caller]
    pub fn created(&self) -> Value {
        let body = self.with_status(201);
        assert_eq!(body["success"], true, "{body}");
        body
    }

    /// Asserts an error with this status and code, in the standard envelope, and returns it.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.with_status(status);
        assert_eq!((&body["success"], body["code"].as_str()), (&Value::Bool(false), Some(code)), "{body}");
        assert!(body["error"].as_str().is_some_and(|sentence| sentence.len() > 5), "{body}");
        body
    }
}
