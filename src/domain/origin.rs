//! Patterns of browser origins, shared by CORS and the Origin check of Socket.IO. Only `*` allows `null`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

/// `*`, `scheme://host`, `scheme://host:port` or `scheme://host:*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginPattern {
    /// The pattern as configured.
    text: String,
    rule: Rule,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Rule {
    Any,
    /// `base` is `scheme://host` in the form that browsers send.
    AnyPort {
        base: String,
    },
    /// A complete origin in the form that browsers send: lower case, without a default port.
    Exact(String),
}

/// The text is not an origin pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an origin such as https://app.example.com, http://localhost:* or *")]
pub struct InvalidOriginPattern;

impl OriginPattern {
    /// Whether the pattern is `*`.
    pub fn is_any(&self) -> bool {
        self.rule == Rule::Any
    }

    /// Whether the value of an `Origin` header is allowed by this pattern. Only `*` allows `null`.
    pub fn matches(&self, origin: &str) -> bool {
        match &self.rule {
            Rule::Any => true,
            Rule::Exact(allowed) => allowed.eq_ignore_ascii_case(origin),
            Rule::AnyPort { base } => matches_any_port(base, origin),
        }
    }

    /// The host of the pattern; `None` for `*`.
    pub fn host(&self) -> Option<String> {
        let origin = match &self.rule {
            Rule::Any => return None,
            Rule::AnyPort { base } => base,
            Rule::Exact(origin) => origin,
        };
        Url::parse(origin).ok()?.host_str().map(str::to_owned)
    }

    /// The pattern as configured.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn matches_any_port(base: &str, origin: &str) -> bool {
    let Some((head, rest)) = origin.split_at_checked(base.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(base) && (rest.is_empty() || is_port(rest))
}

fn is_port(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else {
        return false;
    };
    digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

impl FromStr for OriginPattern {
    type Err = InvalidOriginPattern;

    fn from_str(text: &str) -> Result<Self, InvalidOriginPattern> {
        let rule = match (text, text.strip_suffix(":*")) {
            ("*", _) => Rule::Any,
            // `any_port_base` rejects a scheme without a host (`http:*`).
            (_, Some(base)) => Rule::AnyPort { base: any_port_base(base)? },
            (_, None) => Rule::Exact(origin_of(text)?),
        };
        Ok(Self { text: text.to_owned(), rule })
    }
}

/// `scheme://host` of a pattern that allows any port.
fn any_port_base(text: &str) -> Result<String, InvalidOriginPattern> {
    let with_port = Url::parse(&format!("{text}:1")).map_err(|_| InvalidOriginPattern)?;
    if with_port.port() != Some(1) {
        return Err(InvalidOriginPattern);
    }
    origin_of(text)
}

/// Normalizes a text that is exactly an origin, without path, query or credentials.
fn origin_of(text: &str) -> Result<String, InvalidOriginPattern> {
    let url = Url::parse(text).map_err(|_| InvalidOriginPattern)?;
    let only_origin = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && matches!(url.path(), "" | "/")
        && !text.ends_with('/')
        && !text.contains('*');
    let host = url.host_str().filter(|host| only_origin && !host.is_empty()).ok_or(InvalidOriginPattern)?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}://{host}{port}", url.scheme()))
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for OriginPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for OriginPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
