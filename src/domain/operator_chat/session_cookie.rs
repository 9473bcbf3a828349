//! Finds the session cookie of an identity provider among the cookies of a request.
//!
//! A cookie counts with and without the prefix `__Secure-`, whole or in chunks `name.0`, `name.1`, …; what is found is
//! bounded, whatever a request has.

use std::fmt;

/// Maximum bytes of a session cookie, its chunks together.
pub const SESSION_COOKIE_MAX_BYTES: usize = 16 * 1024;
/// Browsers accept a cookie of this prefix only over https.
const SECURE_PREFIX: &str = "__Secure-";
/// Browsers limit a cookie to 4 KiB, so that the longest cookie has five chunks.
const MAX_CHUNKS: usize = 16;
/// Whole cookies of one name that are tried. More than one exists only if they differ in path or domain.
const MAX_OF_ONE_NAME: usize = 2;

/// A session cookie of a request, its chunks joined. `Debug` shows its name only.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionCookie {
    /// The name as received, without the suffix of a chunk.
    pub name: String,
    /// The value, which proves a user.
    pub value: String,
}

impl SessionCookie {
    /// Whether this is the cookie with the configured name.
    #[must_use]
    pub fn is_named(&self, configured: &str) -> bool {
        self.name == configured || self.name.strip_prefix(SECURE_PREFIX) == Some(configured)
    }
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCookie").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The cookies with the configured name in `Cookie` headers, those that only https can set first.
#[must_use]
pub fn find_session_cookies(configured: &str, headers: &[&str]) -> Vec<SessionCookie> {
    let pairs: Vec<(&str, &str)> =
        headers.iter().flat_map(|header| header.split(';')).filter_map(pair).collect();
    let mut found = Vec::new();
    for name in [format!("{SECURE_PREFIX}{configured}"), configured.to_owned()] {
        let whole = pairs.iter().filter(|(given, _)| *given == name).map(|(_, value)| *value);
        let whole = whole.filter(|value| is_sized(value)).take(MAX_OF_ONE_NAME).map(str::to_owned);
        let values: Vec<String> = whole.chain(joined_chunks(&name, &pairs)).collect();
        found.extend(values.into_iter().map(|value| SessionCookie { name: name.clone(), value }));
    }
    found
}

/// The value of a cookie that was set in chunks, from the first one to the first gap.
fn joined_chunks(name: &str, pairs: &[(&str, &str)]) -> Option<String> {
    let mut value = String::new();
    for number in 0..MAX_CHUNKS {
        let chunk = format!("{name}.{number}");
        let Some((_, part)) = pairs.iter().find(|(given, _)| *given == chunk) else { break };
        if value.len() + part.len() > SESSION_COOKIE_MAX_BYTES {
            return None;
        }
        value.push_str(part);
    }
    Some(value).filter(|value| is_sized(value))
}

fn is_sized(value: &str) -> bool {
    (1..=SESSION_COOKIE_MAX_BYTES).contains(&value.len())
}

/// A name and its value, which may be in quotation marks (RFC 6265, 4.1.1).
fn pair(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some((name.trim(), quoted.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(headers: &[&str]) -> Vec<(String, String)> {
        let cookies = find_session_cookies("session", headers);
        cookies.into_iter().map(|cookie| (cookie.name, cookie.value)).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn cookie_is_found_with_and_without_prefix() {
        assert_eq!(found(&["a=1; session=x.y; b=2"]), pairs(&[("session", "x.y")]));
        assert_eq!(
            found(&["session=x", "__Secure-session=\"y\""]),
            pairs(&[("__Secure-session", "y"), ("session", "x")])
        );
        for other in ["", "session", "session=", "Session=x", "xsession=x", "session.=x", "__Host-session=x"]
        {
            assert_eq!(found(&[other]), [], "{other}");
        }
    }

    #[test]
    fn chunks_are_joined_by_number() {
        let header = "session.1=b; session.10=k; session.0=a; session.2=c; session.4=e; session.0=z";
        assert_eq!(found(&[header]), pairs(&[("session", "abc")]));
        assert_eq!(found(&["session.1=b; session.2=c"]), []);
        assert_eq!(
            found(&["session=x; __Secure-session.0=a; __Secure-session.1=b"]),
            pairs(&[("__Secure-session", "ab"), ("session", "x")])
        );
    }

    #[test]
    fn what_is_found_is_bounded() {
        let many = "session=x; ".repeat(100);
        assert_eq!(found(&[&many]).len(), MAX_OF_ONE_NAME);
        let most = "x".repeat(SESSION_COOKIE_MAX_BYTES);
        assert_eq!(found(&[&format!("session={most}")]).len(), 1);
        assert_eq!(found(&[&format!("session={most}x")]), []);
        assert_eq!(found(&[&format!("session.0={most}; session.1=x")]), []);
        let chunks: String = (0..100).map(|number| format!("session.{number}=x; ")).collect();
        assert_eq!(found(&[&chunks])[0].1.len(), MAX_CHUNKS);
    }

    #[test]
    fn cookie_is_named_as_configured() {
        let named = |name: &str| SessionCookie { name: name.to_owned(), value: "secret".to_owned() };
        assert!(named("session").is_named("session") && named("__Secure-session").is_named("session"));
        assert!(!named("session").is_named("__Secure-session") && !named("sessions").is_named("session"));
        assert!(!format!("{:?}", named("session")).contains("secret"));
    }
}
