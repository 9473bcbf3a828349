//! A connection that costs little: HTTP requests with keep-alive, and Socket.IO over WebSocket.
//!
//! Bodies and frames are read into one buffer that the connection keeps.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READ: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// The answer to a request.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Response {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Panics unless the request succeeded.
    #[track_caller]
    pub fn expect_success(&self, what: &str) {
        let text = String::from_utf8_lossy(&self.body);
        assert!((200..300).contains(&self.status), "{what}: {} {text}", self.status);
    }
}

/// The server and the key of its API.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub key: String,
}

/// A connection for requests, one after the other.
pub struct HttpClient {
    stream: TcpStream,
    endpoint: Endpoint,
    buffer: Vec<u8>,
}

impl HttpClient {
    pub async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let stream = TcpStream::connect(endpoint.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, endpoint: endpoint.clone(), buffer: Vec::with_capacity(READ) })
    }

    pub async fn get(&mut self, path: &str) -> io::Result<Response> {
        self.request("GET", path, b"").await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> io::Result<Response> {
        self.request("POST", path, body.to_string().as_bytes()).await
    }

    pub async fn patch(&mut self, path: &str, body: &Value) -> io::Result<Response> {
        self.request("PATCH", path, body.to_string().as_bytes()).await
    }

    pub async fn put(&mut self, path: &str, body: &Value) -> io::Result<Response> {
        self.request("PUT", path, body.to_string().as_bytes()).await
    }

    async fn request(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Response> {
        let Endpoint { address, key } = &self.endpoint;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\n");
        if !body.is_empty() {
            head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await?;
        self.buffer.clear();
        loop {
            if let Some(response) = parse(&self.buffer)? {
                return Ok(response);
            }
            read_more(&mut self.stream, &mut self.buffer).await?;
        }
    }
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.reserve(READ);
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// The whole response, once it is there.
fn parse(bytes: &[u8]) -> io::Result<Option<Response>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let status = head.code.unwrap_or(0);
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok(unchunk(&bytes[start..])?.map(|body| Response { status, body }));
    }
    let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(bytes.get(start..start + length).map(|body| Response { status, body: body.to_vec() }))
}

fn unchunk(mut bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let size =
            httparse::parse_chunk_size(bytes).map_err(|_| io::Error::other("a chunk without a size"))?;
        let httparse::Status::Complete((start, length)) = size else { return Ok(None) };
        let end = start + usize::try_from(length).map_err(io::Error::other)?;
        let Some(chunk) = bytes.get(start..end) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(rest) = bytes.get(end + 2..) else { return Ok(None) };
        if length == 0 {
            return Ok(Some(body));
        }
        bytes = rest;
    }
}

/// A Socket.IO connection to one namespace, over WebSocket.
pub struct Socket {
    stream: TcpStream,
    /// The namespace in packets, with its comma; empty on `/`.
    namespace: String,
    buffer: Vec<u8>,
    /// Where the next frame begins.
    next: usize,
    requests: u64,
}

impl Socket {
    /// Connects to a device, and waits until the namespace has accepted the socket.
    pub async fn connect(endpoint: &Endpoint, device: &str) -> io::Result<Self> {
        Self::connect_at(endpoint, "/ws/", format!("/device/{device},"), "{}").await
    }

    /// Connects to operator chat with the token of a user.
    pub async fn connect_chat(endpoint: &Endpoint, token: &str) -> io::Result<Self> {
        let auth = serde_json::json!({ "token": token }).to_string();
        Self::connect_at(endpoint, "/socket.io/", String::new(), &auth).await
    }

    async fn connect_at(endpoint: &Endpoint, path: &str, namespace: String, auth: &str) -> io::Result<Self> {
        let Endpoint { address, key } = endpoint;
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let upgrade = format!(
            "GET {path}?EIO=4&transport=websocket HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-api-key: {key}\r\n\r\n"
        );
        stream.write_all(upgrade.as_bytes()).await?;
        let mut socket = Self { stream, namespace, buffer: Vec::with_capacity(2_048), next: 0, requests: 0 };
        socket.read_upgrade().await?;
        let connect = format!("40{}{auth}", socket.namespace);
        let mut is_open = false;
        loop {
            let frame = socket.frame().await?;
            if frame.starts_with(b"0") {
                is_open = true;
                socket.send(&connect).await?;
            } else if is_open && frame.starts_with(b"40") {
                return Ok(socket);
            } else if frame.starts_with(b"44") {
                return Err(io::Error::other(String::from_utf8_lossy(frame).into_owned()));
            }
        }
    }

    async fn read_upgrade(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                if !self.buffer.starts_with(b"HTTP/1.1 101") {
                    return Err(io::Error::other(String::from_utf8_lossy(&self.buffer).into_owned()));
                }
                self.next = end + 4;
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// The next text; answers pings.
    pub async fn frame(&mut self) -> io::Result<&[u8]> {
        loop {
            let Some((opcode, from, to)) = self.complete_frame() else {
                self.fill().await?;
                continue;
            };
            self.next = to;
            match opcode {
                TEXT if self.buffer[from..to] == *b"2" => self.send("3").await?,
                TEXT => return Ok(&self.buffer[from..to]),
                CLOSE => return Err(io::ErrorKind::ConnectionAborted.into()),
                PING => return Err(io::Error::other("an unexpected ping of the transport")),
                _ => {}
            }
        }
    }

    /// Opcode and range of the frame at `next`, once it is there.
    fn complete_frame(&self) -> Option<(u8, usize, usize)> {
        let frame = self.buffer.get(self.next..)?;
        let (first, second) = (*frame.first()?, *frame.get(1)?);
        let (length, header) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(frame.get(2..4)?.try_into().ok()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(frame.get(2..10)?.try_into().ok()?)).ok()?, 10),
            short => (usize::from(short), 2),
        };
        let from = self.next + header;
        (self.buffer.len() >= from + length).then_some((first & 0x0f, from, from + length))
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.next);
        self.next = 0;
        // Without this reservation `read_buf` grows by small steps.
        self.buffer.reserve(2_048);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The start of an event's frame.
    pub fn event_prefix(&self) -> String {
        format!("42{}[\"", self.namespace)
    }

    /// Sends a text, masked with zeros.
    async fn send(&mut self, text: &str) -> io::Result<()> {
        let mut frame = vec![0x80 | TEXT];
        match u8::try_from(text.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | length),
            _ => {
                let length = u16::try_from(text.len()).map_err(io::Error::other)?;
                frame.push(0x80 | 126);
                frame.extend_from_slice(&length.to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        self.stream.write_all(&frame).await
    }

    /// Sends an event and waits for its acknowledgement; events that arrive before are dropped.
    pub async fn request(&mut self, event: &str, body: &str) -> io::Result<()> {
        self.requests += 1;
        let text = format!("42{}{}[\"{event}\",{body}]", self.namespace, self.requests);
        let answer = format!("43{}{}[", self.namespace, self.requests);
        self.send(&text).await?;
        while !self.frame().await?.starts_with(answer.as_bytes()) {}
        Ok(())
    }
}
