//! Converts a notification into the form that the server expects. Pure.

use std::path::Path;

use notify_rust::{Hint, Notification, Urgency};

use super::DesktopNotification;
use super::bus::Capabilities;
use crate::domain::notify::Priority;
use crate::effects::sanitize;

const TITLE_CHARS: usize = 120;
const BODY_CHARS: usize = 800;
const BODY_LINES: usize = 12;
const LABEL_CHARS: usize = 40;
/// Limit of buttons; servers show only a few.
const MAX_ACTIONS: usize = 3;

/// The server's notification, which replaces the one numbered `replaces`.
pub(super) fn notification(
    notice: &DesktopNotification,
    can: Capabilities,
    app_name: &str,
    icon: Option<&Path>,
    replaces: Option<u32>,
) -> Notification {
    let mut out = Notification::new();
    out.appname(app_name).summary(&title(notice)).body(&body(notice, can.markup));
    out.urgency(match notice.urgency {
        Priority::Low => Urgency::Low,
        Priority::Normal => Urgency::Normal,
        Priority::High => Urgency::Critical,
    });
    // Sounds are a separate action.
    out.hint(Hint::SuppressSound(true));
    if let Some(icon) = icon.and_then(Path::to_str) {
        out.icon(icon);
    }
    if can.actions {
        for (id, label) in notice.actions.iter().take(MAX_ACTIONS) {
            out.action(&sanitize::line(id, LABEL_CHARS), &sanitize::line(label, LABEL_CHARS));
        }
    }
    if let Some(id) = replaces {
        out.id(id);
    }
    out
}

/// Never markup, and never empty, because some servers reject empty titles.
fn title(notice: &DesktopNotification) -> String {
    let title = sanitize::line(&notice.title, TITLE_CHARS);
    if title.is_empty() { "Wharf".to_owned() } else { title }
}

fn body(notice: &DesktopNotification, markup: bool) -> String {
    let body = sanitize::lines(&notice.body, BODY_CHARS, BODY_LINES);
    if markup { sanitize::escaped(&body) } else { body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(title: &str, body: &str) -> DesktopNotification {
        DesktopNotification {
            tag: "demo/1".to_owned(),
            title: title.to_owned(),
            body: body.to_owned(),
            urgency: Priority::High,
            actions: vec![("read".to_owned(), "Mark read".to_owned())],
        }
    }

    fn shown(notice: &DesktopNotification, actions: bool, markup: bool) -> Notification {
        notification(notice, Capabilities { actions, markup }, "Wharf", Some(Path::new("/i.png")), Some(7))
    }

    #[test]
    fn markup_is_escaped_only_where_supported() {
        let hostile = notice("<b>t</b>", "<a href=\"x\">click</a> & more");
        let rich = shown(&hostile, true, true);
        assert_eq!(rich.body, "&lt;a href=&quot;x&quot;&gt;click&lt;/a&gt; &amp; more");
        assert_eq!(rich.summary, "<b>t</b>");
        assert_eq!(shown(&hostile, true, false).body, "<a href=\"x\">click</a> & more");
    }

    #[test]
    fn buttons_require_server_support() {
        assert_eq!(shown(&notice("t", "b"), true, true).actions, ["read", "Mark read"]);
        assert!(shown(&notice("t", "b"), false, true).actions.is_empty());
    }

    #[test]
    fn desktop_text_is_bounded_without_controls() {
        let long = format!("a\0\u{202e}b\u{1b}[2J{}", "x\n".repeat(50_000));
        let out = shown(&notice(&long, &long), true, true);
        assert_eq!(out.summary.chars().count(), TITLE_CHARS);
        assert!(out.body.chars().count() <= BODY_CHARS && out.body.matches('\n').count() < BODY_LINES);
        assert!(out.summary.starts_with("ab[2Jx x"), "{}", out.summary);
        assert_eq!(shown(&notice("\u{200f}\n", ""), true, true).summary, "Wharf");
    }
}
