//! Pushes to a local push service, which decrypts them like a browser.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use p256::SecretKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;
use web_push_native::Auth;

use super::*;
use crate::domain::clock::{Millis, Random};
use crate::net::Guard;

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Millis {
        Millis(1_700_000_000_000)
    }
}

/// Returns different bytes at each call.
struct Counting(Mutex<u8>);
impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let mut next = self.0.lock().unwrap();
        *next += 1;
        bytes.fill(*next);
    }
}

struct Browser {
    secret: SecretKey,
    auth: [u8; 16],
}

impl Browser {
    fn new() -> Self {
        Self { secret: SecretKey::from_slice(&[9; 32]).unwrap(), auth: [3; 16] }
    }

    fn target(&self, endpoint: Url) -> PushTarget {
        let point = self.secret.public_key().to_sec1_bytes();
        let point = p256::PublicKey::from_sec1_bytes(&point).unwrap();
        let p256dh = BASE64.encode(p256::EncodedPoint::from(point));
        PushTarget { endpoint, p256dh, auth: BASE64.encode(self.auth) }
    }

    fn read(&self, body: &[u8]) -> Vec<u8> {
        web_push_native::decrypt(body.to_vec(), &self.secret, &Auth::from(self.auth)).unwrap()
    }
}

fn push(allow: &[&str]) -> Push {
    let allowed: Vec<_> = allow.iter().map(|cidr| cidr.parse().unwrap()).collect();
    let client = GuardedClient::new(Guard::new(&allowed), Duration::from_secs(5));
    let key = VapidKey::generate(&Counting(Mutex::new(40))).unwrap();
    Push::new(client, Arc::new(Noon), key, "mailto:ops@example.org".to_owned())
}

/// The head and body that the push service received, and the sender's outcome.
async fn sent(answer: &str, payload: &[u8]) -> (String, Vec<u8>, PushOutcome) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Url = format!("http://{}/push/abc", listener.local_addr().unwrap()).parse().unwrap();
    let service = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        loop {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
            let Some(end) = seen.windows(4).position(|at| at == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(seen[..end].to_vec()).unwrap().to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            if seen.len() - end - 4 == length.parse::<usize>().unwrap() {
                stream.write_all(answer.as_bytes()).await.unwrap();
                return (head, seen[end + 4..].to_vec());
            }
        }
    };
    let (push, target) = (push(&["127.0.0.0/8"]), Browser::new().target(endpoint));
    let sending = push.send(&target, payload, Urgency::High, 60);
    let ((head, body), outcome) = tokio::join!(service, sending);
    (head, body, outcome.unwrap())
}

#[tokio::test]
async fn only_browser_decrypts_push() {
    let created = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
    let (head, body, outcome) = sent(created, b"{\"title\":\"Ada\"}").await;
    assert_eq!(outcome, PushOutcome::Delivered);
    assert_eq!(Browser::new().read(&body), b"{\"title\":\"Ada\"}");
    assert!(!body.windows(3).any(|at| at == b"Ada"));
    for line in
        ["content-encoding: aes128gcm", "ttl: 60", "urgency: high", "content-type: application/octet-stream"]
    {
        assert!(head.contains(&format!("\r\n{line}")), "{line}: {head}");
    }
    assert_eq!(head.matches("content-type").count(), 1, "{head}");
    assert!(head.contains("\r\nauthorization: vapid t="), "{head}");
}

#[tokio::test]
async fn longest_push_payload_fits_service_limit() {
    let created = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
    let longest = vec![b'x'; Push::MAX_PAYLOAD];
    let (_, body, _) = sent(created, &longest).await;
    assert_eq!(body.len(), 4096);
    assert_eq!(Browser::new().read(&body), longest);
    let target = Browser::new().target("https://push.example.org/".parse().unwrap());
    let longer = vec![b'x'; Push::MAX_PAYLOAD + 1];
    assert!(matches!(push(&[]).send(&target, &longer, Urgency::Low, 1).await, Err(EffectError::Invalid(_))));
}

#[tokio::test]
async fn push_status_decides_outcome() {
    let cases = [
        ("404 Not Found", PushOutcome::Gone),
        ("410 Gone", PushOutcome::Gone),
        ("413 Too Large", PushOutcome::Refused(413)),
        ("403 Forbidden", PushOutcome::Refused(403)),
        ("503 Busy", PushOutcome::Later(None)),
        ("429 Slow\r\nretry-after: 30", PushOutcome::Later(Some(30))),
        ("301 There\r\nlocation: http://127.0.0.1:9/", PushOutcome::Refused(301)),
    ];
    for (status, outcome) in cases {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(sent(&answer, b"x").await.2, outcome, "{status}");
    }
}

#[tokio::test]
async fn subscription_needs_public_url_and_valid_key() {
    let browser = Browser::new();
    let good = browser.target("https://push.example.org/a".parse().unwrap());
    assert!(push(&[]).check(&good).is_ok());
    let padded = PushTarget { auth: format!("{}==", good.auth), ..good.clone() };
    assert!(push(&[]).check(&padded).is_ok());
    for inside in ["https://10.0.0.1/a", "https://[::1]/a", "https://127.1/a"] {
        let target = browser.target(inside.parse().unwrap());
        assert!(matches!(push(&[]).check(&target), Err(EffectError::Net(_))), "{inside}");
        let sent = push(&[]).send(&target, b"x", Urgency::Normal, 1).await;
        assert!(matches!(sent, Err(EffectError::Net(_))), "{inside}");
    }
    let plain = browser.target("http://push.example.org/a".parse().unwrap());
    let short = PushTarget { auth: "AAAA".to_owned(), ..good.clone() };
    let no_point = PushTarget { p256dh: BASE64.encode([4; 65]), ..good.clone() };
    for bad in [plain, short, no_point] {
        assert!(matches!(push(&[]).check(&bad), Err(EffectError::Invalid(_))));
    }
    assert!(!format!("{good:?}").contains(&good.auth));
}
