//! Sounds as dashboards get them.

use super::app_with;

// covers: GET /notifications/sounds
#[tokio::test]
async fn sounds_are_listed_and_served_with_their_type_and_an_etag() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bell.wav"), b"RIFF").unwrap();
    std::fs::write(dir.path().join("secret.txt"), b"no sound").unwrap();
    let app = app_with(&[("WHARF__EFFECTS__SOUND__DIR", &dir.path().display().to_string())]).await;
    let list = app.get("/notifications/sounds").await.ok();
    let names: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["message", "call", "system", "error", "bell.wav"]);
    for sound in list["data"].as_array().unwrap() {
        let path = format!("/{}", sound["url"].as_str().unwrap());
        let file = app.request("GET", &path).send().await.unwrap();
        assert_eq!(file.status(), 200, "{path}");
        let header = |name: &str| file.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with("audio/"), "{path}");
        assert!(header("cache-control").contains("max-age"));
        let etag = header("etag");
        assert!(!file.bytes().await.unwrap().is_empty());
        let same = app.request("GET", &path).header("If-None-Match", &etag).send().await.unwrap();
        assert_eq!((same.status().as_u16(), same.bytes().await.unwrap().len()), (304, 0));
    }
    assert_eq!(app.request("GET", "//assets/sounds/bell").send().await.unwrap().status(), 200);
    for nothing in ["none", "secret.txt", "..%2Fwharf.db", ".hidden"] {
        app.get(&format!("//assets/sounds/{nothing}")).await.refused(404, "sound_not_found");
    }
}
