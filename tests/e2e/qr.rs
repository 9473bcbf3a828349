//! The linking code in every format.

use serde_json::json;
use wharf::qr;

use crate::support::{TestApp, decoder};

// covers: GET /devices/{id}/qr
// covers: GET /devices/{id}/qr.png
// covers: GET /devices/{id}/qr.svg
// covers: GET /devices/{id}/qr.txt
#[tokio::test]
async fn qr_code_is_served_in_every_format() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.qr), "linking by QR code");
    app.new_device("shop", json!({})).await;
    app.wait_for_state("shop", "qr").await;
    let qr = app.get("/devices/shop/qr").await.ok();
    let data = &qr["data"];
    assert_eq!(data["attempt"], 1);
    assert!(data["qrDataUrl"].as_str().unwrap().starts_with("data:image/png;base64,"));
    let left = data["expiresAt"].as_i64().unwrap() - wharf::domain::clock::Clock::now(&app.clock).0;
    assert!((50_000..=60_000).contains(&left), "the first code is good for 60 s, not {left} ms");
    let png = app.get("/devices/shop/qr.png").await;
    assert_eq!(
        (png.status, png.header("content-type"), &png.bytes[..8]),
        (200, "image/png", b"\x89PNG\r\n\x1a\n".as_slice())
    );
    let svg = app.get("/devices/shop/qr.svg").await;
    assert!(svg.header("content-type").starts_with("image/svg+xml") && svg.text().contains("<svg"));
    let text = app.get("/devices/shop/qr.txt").await;
    assert!(text.header("content-type").starts_with("text/plain") && text.text().contains('▀'));
    for format in ["qr", "qr.png", "qr.svg", "qr.txt"] {
        let reply = app.get(&format!("/devices/shop/{format}")).await;
        assert!(reply.header("cache-control").contains("no-store"), "{format} may not be cached");
    }
}

#[tokio::test]
async fn only_current_qr_code_is_accepted() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.qr), "linking by QR code");
    app.new_device("shop", json!({})).await;
    app.wait_for_state("shop", "qr").await;
    app.post("/simulator/shop/scan", json!({ "qr": "something else" })).await.refused(422, "qr_unknown");
    app.post("/simulator/shop/scan", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    app.get("/devices/shop/qr.png").await.refused(404, "no_qr");
    app.post("/simulator/shop/scan", json!({})).await.refused(422, "no_qr");
}

/// Text as long as a real linking code.
fn linking_code() -> String {
    let part = "mF3q0Zk8Wd1Jx7Lr+5TnBvCy2Hs6Ae9Gu4Pi/KoMw=";
    let reference = "Qx7Lr5TnBvCy2Hs6Ae9Gu4PiKoMwmF3q0Zk8Wd1J".repeat(3);
    format!("2@{reference},{part},{part},{part},1")
}

#[test]
fn slow_qr_drawings_decode_with_zbar() {
    for code in [linking_code(), "2@short".to_owned(), "é ünï 漢字".to_owned()] {
        assert_eq!(decoder::read_png(&qr::png(&code).unwrap()), code, "PNG");
        assert_eq!(decoder::read_svg(&qr::svg(&code).unwrap()), code, "SVG");
        assert_eq!(decoder::read_half_blocks(&qr::plain_half_blocks(&code).unwrap()), code, "half blocks");
        for theme in [0, 255] {
            let shown = qr::terminal(&code).unwrap();
            assert_eq!(decoder::read_terminal(&shown, theme), code, "terminal on grey {theme}");
        }
    }
}
