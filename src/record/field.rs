//! What a column can hold: the types of record fields and their one common view, [`Value`].
//!
//! In: a field of a record. Out: its kind and its value, for the Arrow schema, for a policy's condition, for a test
//! case. A field that is not known is [`Value::Null`]; nothing here invents a default.

use std::sync::Arc;

use crate::clock::Timestamp;

/// Shared, immutable text: cloned into many records for the price of a counter.
pub type Text = Arc<str>;
/// Shared, immutable list of texts.
pub type Texts = Arc<[Text]>;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// Unsigned 64-bit number.
    U64,
    /// Unbounded UTF-8 text.
    Text,
    /// Microseconds, UTC.
    Timestamp,
    /// List of texts.
    Texts,
    /// List of unsigned 64-bit numbers.
    U64s,
}

/// A column's value in one record, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Not known, or does not apply.
    Null,
    /// See [`FieldKind::U64`].
    U64(u64),
    /// See [`FieldKind::Text`].
    Text(&'a str),
    /// See [`FieldKind::Timestamp`].
    Timestamp(Timestamp),
    /// See [`FieldKind::Texts`].
    Texts(&'a [Text]),
    /// See [`FieldKind::U64s`].
    U64s(&'a [u64]),
}

impl Value<'_> {
    /// How long its texts are.
    pub fn text_bytes(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            Value::Texts(texts) => texts.iter().map(|text| text.len()).sum(),
            _ => 0,
        }
    }
}

/// A value that many records have: taken for the price of a counter.
#[derive(Clone, Copy, Debug)]
pub enum Shared<'a> {
    /// See [`FieldKind::Text`].
    Text(&'a Text),
    /// See [`FieldKind::Texts`].
    Texts(&'a Texts),
}

impl<'a> Shared<'a> {
    /// As it is seen.
    pub fn value(self) -> Value<'a> {
        match self {
            Shared::Text(text) => Value::Text(text),
            Shared::Texts(texts) => Value::Texts(texts),
        }
    }
}

/// A field's type: how it is seen as a [`Value`] and made from one.
pub trait Field: Sized {
    /// The column's type.
    const KIND: FieldKind;
    /// Whether the column may be null.
    const NULLABLE: bool;
    /// The value as it stands.
    fn value(&self) -> Value<'_>;
    /// The field that has this value; `None` where the type or the vocabulary does not fit.
    fn from_value(value: Value<'_>) -> Option<Self>;
    /// As [`Field::from_value`], without a copy where the field can share it.
    fn from_shared(shared: Shared<'_>) -> Option<Self> {
        Field::from_value(shared.value())
    }
}

macro_rules! field {
    ($type:ty, $kind:ident, $self:ident => $value:expr, $got:pat => $made:expr $(, $shared:pat => $taken:expr)?) => {
        impl Field for $type {
            const KIND: FieldKind = FieldKind::$kind;
            const NULLABLE: bool = false;
            fn value(&$self) -> Value<'_> {
                $value
            }
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    $got => Some($made),
                    _ => None,
                }
            }
            $(fn from_shared(shared: Shared<'_>) -> Option<Self> {
                match shared {
                    $shared => Some($taken),
                    other => Field::from_value(other.value()),
                }
            })?
        }
    };
}

field!(u64, U64, self => Value::U64(*self), Value::U64(n) => n);
field!(Text, Text, self => Value::Text(self), Value::Text(t) => t.into(), Shared::Text(t) => t.clone());
field!(Timestamp, Timestamp, self => Value::Timestamp(*self), Value::Timestamp(t) => t);
field!(Texts, Texts, self => Value::Texts(self), Value::Texts(t) => t.into(), Shared::Texts(t) => t.clone());
field!(Arc<[u64]>, U64s, self => Value::U64s(self), Value::U64s(n) => n.into());

impl<F: Field> Field for Option<F> {
    const KIND: FieldKind = F::KIND;
    const NULLABLE: bool = true;
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Field::value)
    }
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => F::from_value(value).map(Some),
        }
    }
    fn from_shared(shared: Shared<'_>) -> Option<Self> {
        F::from_shared(shared).map(Some)
    }
}

/// Declares a closed vocabulary: an enum whose variants have one fixed spelling in the log.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every spelling, in order.
            pub const ALL: &'static [&'static str] = &[$($text),+];

            /// The spelling in the log.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok($name::$variant),)+ _ => Err(()) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl crate::record::field::Field for $name {
            const KIND: crate::record::field::FieldKind = crate::record::field::FieldKind::Text;
            const NULLABLE: bool = false;
            fn value(&self) -> crate::record::field::Value<'_> {
                crate::record::field::Value::Text(self.as_str())
            }
            fn from_value(value: crate::record::field::Value<'_>) -> Option<Self> {
                match value {
                    crate::record::field::Value::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use vocabulary;
