//! JSON helpers shared by the parsers: values of the wrong type count as missing, nothing is re-serialised.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON string, borrowed from the input where it has no escapes.
pub(crate) struct CowStr<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for CowStr<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = CowStr<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<CowStr<'de>, E> {
                Ok(CowStr(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<CowStr<'de>, E> {
                Ok(CowStr(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(V)
    }
}

/// A scalar of any type, as lenient readers see it.
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    /// `null`, a list or an object.
    None,
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(v.to_owned())))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Unsigned(v))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Signed(v))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Float(v))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool(v))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::None)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::None)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::None)
            }
        }
        deserializer.deserialize_any(V)
    }
}

impl<'a> Scalar<'a> {
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Scalar::Text(text) => Some(text),
            Scalar::Unsigned(n) => Some(n.to_string().into()),
            Scalar::Signed(n) => Some(n.to_string().into()),
            Scalar::Float(n) => Some(n.to_string().into()),
            Scalar::Bool(b) => Some(Cow::Borrowed(if b { "true" } else { "false" })),
            Scalar::None => None,
        }
    }

    pub(crate) fn to_unsigned(&self) -> Option<u64> {
        match self {
            Scalar::Unsigned(n) => Some(*n),
            Scalar::Text(text) => {
                let text = text.trim();
                text.parse().ok().or_else(|| text.parse().ok().and_then(float_to_unsigned))
            }
            Scalar::Float(n) => float_to_unsigned(*n),
            _ => None,
        }
    }

    pub(crate) fn to_signed(&self) -> Option<i64> {
        match self {
            Scalar::Signed(n) => Some(*n),
            Scalar::Text(text) => text.trim().parse().ok(),
            other => other.to_unsigned().and_then(|n| i64::try_from(n).ok()),
        }
    }

    pub(crate) fn to_flag(&self) -> Option<bool> {
        match self {
            Scalar::Bool(b) => Some(*b),
            Scalar::Unsigned(0) => Some(false),
            Scalar::Unsigned(1) => Some(true),
            Scalar::Text(text) => match text.trim() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn float_to_unsigned(n: f64) -> Option<u64> {
    // 2^53: beyond it a float is no exact number of milliseconds.
    (n.is_finite() && (0.0..9_007_199_254_740_992.0).contains(&n)).then_some(n as u64)
}

/// For `deserialize_with`: a string, or a number or boolean written as one.
pub(crate) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Scalar::deserialize(d)?.into_text().map(Cow::into_owned))
}

/// As [`text`], with the empty string counting as missing.
pub(crate) fn id<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(text(d)?.filter(|id| !id.is_empty()))
}

/// The id in a value, as [`id`] reads it.
pub(crate) fn id_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str::<Scalar<'_>>(raw.get())
        .ok()?
        .into_text()
        .map(Cow::into_owned)
        .filter(|id| !id.is_empty())
}

/// For `deserialize_with`: a list of ids; what is none is left out, and a value that is no list counts as empty.
pub(crate) fn ids<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let raw = <&RawValue>::deserialize(d)?;
    let items = serde_json::from_str::<Vec<Scalar<'_>>>(raw.get()).unwrap_or_default();
    let texts = items.into_iter().filter_map(Scalar::into_text).map(Cow::into_owned);
    Ok(texts.filter(|id| !id.is_empty()).collect())
}

/// For `deserialize_with`: a non-negative number, or a string holding one.
pub(crate) fn unsigned<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(Scalar::deserialize(d)?.to_unsigned())
}

/// For `deserialize_with`: a whole number, or a string holding one.
pub(crate) fn signed<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Ok(Scalar::deserialize(d)?.to_signed())
}

/// For `deserialize_with`: a boolean, also as 0, 1 or a string.
pub(crate) fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<Option<bool>, D::Error> {
    Ok(Scalar::deserialize(d)?.to_flag())
}

/// The members of an object in their order, values untouched.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<CowStr<'de>, &'de RawValue>()? {
                    members.push((key.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(V)
    }
}

impl Members<'_> {
    pub(crate) fn to_json(&self) -> String {
        let mut out =
            String::with_capacity(2 + self.0.iter().map(|(k, v)| k.len() + v.get().len() + 4).sum::<usize>());
        out.push('{');
        for (index, (key, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_string(&mut out, key);
            out.push(':');
            out.push_str(value.get());
        }
        out.push('}');
        out
    }
}

/// A JSON object, or a string that holds one: DingTalk nests JSON in strings at will. Returns its text.
pub(crate) fn object_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    if text.starts_with('{') {
        return Some(Cow::Borrowed(text));
    }
    let inner = as_text(raw)?;
    // Both cases leave the caller with text that at least looks like an object.
    inner.trim_start().starts_with('{').then_some(inner)
}

/// The text of a JSON string.
pub(crate) fn as_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str::<CowStr<'_>>(raw.get()).ok().map(|text| text.0)
}

/// `text` with every half of a surrogate pair replaced by U+FFFD. A nickname cut in the middle of an emoji ends in such a
/// half, and must not make the whole message unreadable.
pub(crate) fn mend(text: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let mut rest = text;
    let mut kept = 0;
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    while let Some(at) = rest.find('\\') {
        let here = rest.get(at..).unwrap_or_default();
        let (length, lone) = match unit(here) {
            Some(0xd800..=0xdbff) => {
                let low = here.get(6..).and_then(unit).is_some_and(|low| (0xdc00..=0xdfff).contains(&low));
                if low { (12, false) } else { (6, true) }
            }
            Some(0xdc00..=0xdfff) => (6, true),
            _ => (2, false),
        };
        if lone {
            let end = text.len() - here.len();
            mended.push_str(text.get(kept..end).unwrap_or_default());
            mended.push_str("\\ufffd");
            kept = end + length;
        }
        rest = here.get(length..).unwrap_or_default();
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(mended)
}

/// Parses an object, with an error that says where it went wrong but shows no value.
pub(crate) fn from_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, crate::PayloadError> {
    if !text.trim_start().starts_with('{') {
        return Err(crate::PayloadError::Json("it does not start with {".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| crate::PayloadError::Json(describe(&error)))
}

/// The kind and place of a JSON error without the offending value, which may be a secret.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends early",
        serde_json::error::Category::Data => "a value has the wrong type",
        _ => "syntax error",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// Appends `text` as a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Bytes that `c` takes inside a JSON string written by [`push_string`].
pub(crate) fn escaped_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

/// A list of objects of which those of another type are skipped; a value that is no list counts as empty.
pub(crate) fn list<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Vec<T> {
    let Some(items) = raw.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok()) else {
        return Vec::new();
    };
    items.into_iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect()
}

/// For `deserialize_with`: any value but `null`, untouched.
pub(crate) fn raw<'de, D: Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    let raw = <&RawValue>::deserialize(d).map_err(D::Error::custom)?;
    Ok((raw.get() != "null").then_some(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_of_surrogate_pairs_are_mended() {
        for fine in ["", "plain", r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\u00e9\n""#, r"\", r"\u", "\\é"] {
            assert!(matches!(mend(fine), Cow::Borrowed(_)), "{fine}");
        }
        for (broken, mended) in [
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\ud83d\ud83d\ude00x""#, r#""\ufffd\ud83d\ude00x""#),
            (r#""\ude00\u4f60\uD83Dz""#, r#""\ufffd\u4f60\ufffdz""#),
        ] {
            assert_eq!(mend(broken), mended);
            assert!(serde_json::from_str::<String>(&mend(broken)).is_ok());
        }
    }

    #[test]
    fn strings_are_escaped_as_serde_json_does() {
        for text in ["", "plain", "a\"b\\c\nd\re\tf\u{1}g\u{7f}", "钉钉 🐱", "\"", "\u{0}"] {
            let mut ours = String::new();
            push_string(&mut ours, text);
            assert_eq!(serde_json::from_str::<String>(&ours).unwrap(), text);
            assert_eq!(ours.len(), 2 + text.chars().map(escaped_len).sum::<usize>());
        }
    }
}
