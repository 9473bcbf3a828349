//! The files of the page and their headers.

use crate::support::{Reply, TestApp};

async fn get(app: &TestApp, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let request = app.request(method, &format!("/{path}"));
    app.plain(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn root_is_the_page_with_its_policy() {
    let app = TestApp::start().await;
    let page = get(&app, "GET", "/", &[]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    assert!(page.text().contains("<html"));
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types wharf-sw",
    ] {
        assert!(policy.split(';').any(|rule| rule.trim() == part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(page.header("permissions-policy").contains("camera=()"));
}

#[tokio::test]
async fn page_is_revalidated_and_compressed() {
    let app = TestApp::start().await;
    let page = get(&app, "GET", "/", &[]).await;
    let tag = page.header("etag").to_owned();
    let again = get(&app, "GET", "/", &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.bytes.len(), again.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(get(&app, "GET", "/", &[("if-none-match", "W/\"other\"")]).await.status, 200);
    let head = get(&app, "HEAD", "/", &[]).await;
    assert_eq!((head.status, head.bytes.len(), head.header("etag")), (200, 0, tag.as_str()));
    let packed = get(&app, "GET", "/sw.js", &[("accept-encoding", "gzip")]).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
    assert!(packed.bytes.starts_with(&[0x1f, 0x8b]));
    assert_eq!(get(&app, "POST", "/", &[]).await.status, 405);
}

#[tokio::test]
async fn unknown_files_are_not_found() {
    let app = TestApp::start().await;
    for path in [
        "/ui/missing-0a1b2c3d.js",
        "/ui/",
        "/ui/..%2findex.html",
        "/ui/%2e%2e%2f%2e%2e%2fpackage.json",
        "/ui/.hidden",
        "/index.html",
        "/src/main.tsx",
    ] {
        get(&app, "GET", path, &[]).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn switched_off_dashboard_is_not_found() {
    let app = TestApp::start_with(&[("WHARF__DASHBOARD__ENABLED", "false")]).await;
    for path in ["/", "/sw.js", "/ui/a.js"] {
        get(&app, "GET", path, &[]).await.refused(404, "not_found");
    }
}
