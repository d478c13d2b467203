//! Why a value was refused: what every constructor of this module's newtypes returns.

/// A value that was refused, with the reason and, where there is one, the way out.
///
/// The message reads as a whole sentence without the value's place; whoever read the value adds where it stood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    message: String,
    hint: Option<String>,
}

impl Invalid {
    /// A refusal with its reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// The same refusal with the way out added.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The reason, without the hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The way out, absent where the reason alone says it.
    pub fn way_out(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// Implements what every newtype over checked text has: `as_str`, `Display`, `FromStr`, `TryFrom<String>` and serde
/// as a plain string. The type provides `fn check(text: &str) -> Result<(), Invalid>`.
macro_rules! checked_text {
    ($type:ident) => {
        impl $type {
            /// Checks the text and takes it.
            ///
            /// # Errors
            /// Where the text is not what this type promises; the message says why.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::model::invalid::Invalid> {
                let text = text.into();
                Self::check(&text)?;
                Ok(Self(text))
            }

            /// The text itself.
            #[allow(dead_code, reason = "not every text is asked for as one")]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::model::invalid::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = $crate::model::invalid::Invalid;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Implements serde through `Display` and `FromStr`, for newtypes over something else than text.
macro_rules! serde_as_text {
    ($type:ident) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use checked_text;
pub(crate) use serde_as_text;
