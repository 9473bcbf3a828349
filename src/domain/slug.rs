//! Ids that the daemon generates or clients choose: 1–64 characters of `A-Za-z0-9_-`.

/// Maximum length of an id, in characters.
const MAX: usize = 64;

/// Whether a text is a valid id.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=MAX).contains(&text.len()) && text.chars().all(allowed)
}

/// Defines an id type and its parse error. A generated id is a prefix followed by 80 random bits.
macro_rules! made_id {
    ($(#[$docs:meta])* $name:ident = $prefix:literal; $(#[$error_docs:meta])* $error:ident = $message:literal;) => {
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        $(#[$error_docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $error;

        impl $name {
            /// A new id: the prefix and 80 random bits in hexadecimal.
            #[must_use]
            pub fn random(random: &dyn $crate::domain::clock::Random) -> Self {
                let mut bytes = [0_u8; 10];
                random.fill(&mut bytes);
                Self(format!("{}{}", $prefix, hex::encode(bytes)))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $crate::domain::slug::is_valid(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use made_id;

#[cfg(test)]
mod tests {
    use super::super::slug::*;

    #[test]
    fn slug_has_restricted_alphabet() {
        for good in ["wh_3f0a8c5e9b7d41261122", "a", "A-Z_9", &"x".repeat(64)] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
