//! HTTP requests of the library to the testbed, whose URLs have `https` although it has no TLS.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};

/// Opens a connection for each request.
pub struct Http;

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse> {
        let body = request.body.unwrap_or_default();
        let headers: HashMap<String, String> = request.headers.into_iter().collect();
        let (status, body) = ask(&request.method, &request.url, &headers, &body).await?;
        Ok(HttpResponse { status_code: status, body })
    }
}

/// Sends a request; returns status and body.
pub async fn ask(
    method: &str,
    url: &str,
    headers: &HashMap<String, String>,
    body: &[u8],
) -> Result<(u16, Vec<u8>)> {
    let (_, rest) = url.split_once("://").context("no address")?;
    let (host, path) = rest.split_at(rest.find('/').context("no path")?);
    let mut stream = TcpStream::connect(host).await?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no end of the head")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, answer[end + 4..].to_vec()))
}
