//! Uploads and downloads.

use std::collections::HashMap;

use serde_json::json;
use testbed::media::cipher::{self, Sealed};
use testbed::media::token_of;
use wacore::download::MediaType;
use waproto::whatsapp::message::ImageMessage;

use crate::device::Device;
use crate::http::ask;
use crate::{PHONE, account, testbed};

#[tokio::test(flavor = "multi_thread")]
async fn uploaded_file_is_byte_identical() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let device = Device::linked(&testbed, &account).await;
    // For the larger file the client first asks for the progress.
    for len in [1_000_usize, 6_000_000] {
        let file: Vec<u8> = (0..len).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        let up = device.client().upload(file.clone(), MediaType::Image, Default::default()).await.unwrap();
        let sealed = Sealed {
            direct_path: up.direct_path,
            media_key: up.media_key.to_vec(),
            file_sha256: up.file_sha256.to_vec(),
            file_enc_sha256: up.file_enc_sha256.to_vec(),
            file_length: up.file_length,
        };
        assert!(cipher::open(&testbed.world().media, &sealed, MediaType::Image).unwrap() == file);
    }
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn downloaded_file_is_byte_identical() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let device = Device::linked(&testbed, &account).await;
    let file = vec![42; 100_001];
    let sealed = cipher::seal(&testbed.world().media, &file, MediaType::Image).unwrap();
    let image = ImageMessage {
        direct_path: Some(sealed.direct_path),
        media_key: Some(sealed.media_key),
        file_sha256: Some(sealed.file_sha256),
        file_enc_sha256: Some(sealed.file_enc_sha256),
        file_length: Some(sealed.file_length),
        ..ImageMessage::default()
    };
    assert!(device.client().download(&image).await.unwrap() == file);
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_requires_token_and_hash() {
    let testbed = testbed().await;
    let (address, auth) = (testbed.address(), testbed.world().media.auth().to_owned());
    let token = token_of(b"some bytes");
    let put = async |auth: &str, body: &[u8]| {
        let url = format!("http://{address}/mms/image/{token}?auth={auth}&token={token}");
        ask("POST", &url, &HashMap::new(), body).await.unwrap().0
    };
    assert_eq!(put("another", b"some bytes").await, 401);
    assert_eq!(put(&auth, b"other bytes").await, 400);
    assert_eq!(put(&auth, b"some bytes").await, 200);
    let url = format!("http://{address}/media/image/{token}");
    let part = HashMap::from([("range".to_owned(), "bytes=5-8".to_owned())]);
    assert_eq!(ask("GET", &url, &part, b"").await.unwrap(), (206, b"byte".to_vec()));
    assert_eq!(ask("GET", &url, &HashMap::new(), b"").await.unwrap(), (200, b"some bytes".to_vec()));
    assert!(testbed.world().media.expire(&token));
    assert_eq!(ask("GET", &url, &HashMap::new(), b"").await.unwrap().0, 404);
    testbed.stop().await;
}
