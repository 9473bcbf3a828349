//! Notification sounds, as served to dashboards.

use super::app_with;

// covers: GET /notifications/sounds
#[tokio::test]
async fn sounds_are_listed_and_served_with_etag() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bell.wav"), b"RIFF\0\0\0\0WAVE").unwrap();
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

#[tokio::test]
async fn other_files_are_not_served_as_sounds() {
    let outside = tempfile::tempdir().unwrap();
    let wave = b"RIFF\0\0\0\0WAVE";
    std::fs::write(outside.path().join("private.wav"), wave).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    std::fs::write(file("bell.wav"), wave).unwrap();
    std::fs::write(file("text.wav"), b"no sound").unwrap();
    std::fs::create_dir(file("folder.wav")).unwrap();
    let link = |to: &std::path::Path, name: &str| std::os::unix::fs::symlink(to, file(name)).unwrap();
    link(std::path::Path::new("/etc/passwd"), "passwd.wav");
    link(&outside.path().join("private.wav"), "private.wav");
    link(std::path::Path::new("bell.wav"), "ring.wav");
    let app = app_with(&[("WHARF__EFFECTS__SOUND__DIR", &dir.path().display().to_string())]).await;
    for name in ["bell.wav", "bell", "ring.wav", "ring"] {
        let path = format!("//assets/sounds/{name}");
        assert_eq!(app.request("GET", &path).send().await.unwrap().status(), 200, "{name}");
    }
    for name in ["text", "text.wav", "folder", "passwd", "passwd.wav", "private.wav"] {
        app.get(&format!("//assets/sounds/{name}")).await.refused(404, "sound_not_found");
    }
    let list = app.get("/notifications/sounds").await.ok();
    let all = list["data"].as_array().unwrap();
    let own: Vec<&str> = all.iter().skip(4).map(|sound| sound["name"].as_str().unwrap()).collect();
    assert_eq!(own, ["bell.wav", "ring.wav"]);
}
