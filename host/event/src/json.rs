//! The JSON event format: attributes and extensions side by side in one object, `data` or `data_base64` beside them.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::{AttributeValue, CloudEvent, Data, EventError};

impl CloudEvent {
    /// The event in the JSON format, one line unless its data has line breaks.
    pub fn to_json(&self) -> Vec<u8> {
        let length = match &self.data {
            Some(Data::Json(text)) => text.get().len(),
            Some(Data::Binary(bytes)) => bytes.len() * 4 / 3,
            None => 0,
        };
        let mut out = Vec::with_capacity(length + 512);
        // Strings, numbers and booleans: there is nothing in an event's attributes that serde_json refuses.
        let _ = serde_json::to_writer(&mut out, &Attributes(self));
        let (name, value, quote) = match &self.data {
            Some(Data::Json(text)) => ("data", text.get().as_bytes(), ""),
            Some(Data::Binary(bytes)) => ("data_base64", &*BASE64.encode(bytes).into_bytes(), "\""),
            None => return out,
        };
        // The data stands behind the attributes, in the same object.
        out.pop();
        for part in [b",\"", name.as_bytes(), b"\":", quote.as_bytes(), value, quote.as_bytes(), b"}"] {
            out.extend_from_slice(part);
        }
        out
    }

    /// Reads one event in the JSON format.
    pub fn from_json(text: &[u8]) -> Result<Self, EventError> {
        let mut fields: Fields = serde_json::from_slice(text)?;
        match take_string(&mut fields, "specversion")? {
            Some(version) if version == "1.0" => {}
            Some(version) => return Err(EventError::Version(version)),
            None => return Err(EventError::Missing("specversion")),
        }
        let mut event = Self::new(
            take_required(&mut fields, "id")?,
            take_required(&mut fields, "source")?,
            take_required(&mut fields, "type")?,
        );
        event.subject = take_string(&mut fields, "subject")?;
        event.datacontenttype = take_string(&mut fields, "datacontenttype")?;
        event.dataschema = take_string(&mut fields, "dataschema")?;
        event.time = take_string(&mut fields, "time")?.map(|text| parse_time(&text)).transpose()?;
        event.data = take_data(&mut fields)?;
        for (name, value) in fields {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
                return Err(EventError::Name(name));
            }
            if let Some(value) = parse_attribute(&name, &value)? {
                event.extensions.insert(name, value);
            }
        }
        Ok(event)
    }
}

/// All of an event but its data.
struct Attributes<'a>(&'a CloudEvent);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(event) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &event.id)?;
        map.serialize_entry("source", &event.source)?;
        map.serialize_entry("type", &event.kind)?;
        let optional = [
            ("subject", &event.subject),
            ("datacontenttype", &event.datacontenttype),
            ("dataschema", &event.dataschema),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        if let Some(time) = event.time {
            map.serialize_entry("time", &format_time(time))?;
        }
        for (name, value) in &event.extensions {
            match value {
                AttributeValue::String(text) => map.serialize_entry(name, text)?,
                AttributeValue::Integer(number) => map.serialize_entry(name, number)?,
                AttributeValue::Boolean(truth) => map.serialize_entry(name, truth)?,
            }
        }
        map.end()
    }
}

type Fields = BTreeMap<String, Box<RawValue>>;

fn take_string(fields: &mut Fields, name: &str) -> Result<Option<String>, EventError> {
    let Some(raw) = fields.remove(name) else { return Ok(None) };
    if raw.get() == "null" {
        return Ok(None);
    }
    serde_json::from_str(raw.get()).map(Some).map_err(|_| invalid(name, &raw, "a string"))
}

fn take_required(fields: &mut Fields, name: &'static str) -> Result<String, EventError> {
    take_string(fields, name)?.filter(|value| !value.is_empty()).ok_or(EventError::Missing(name))
}

fn take_data(fields: &mut Fields) -> Result<Option<Data>, EventError> {
    if let Some(text) = take_string(fields, "data_base64")? {
        if fields.contains_key("data") {
            return Err(EventError::Invalid {
                name: "data_base64".into(),
                found: "beside `data`".into(),
                expected: "one of the two",
            });
        }
        let bytes = BASE64.decode(text.as_bytes()).map_err(|error| EventError::Invalid {
            name: "data_base64".into(),
            found: format!("not base64 ({error})"),
            expected: "base64 text",
        })?;
        return Ok(Some(Data::Binary(bytes)));
    }
    Ok(fields.remove("data").map(|raw| Data::Json(raw.into())))
}

/// An extension's value; `null` means that the attribute is not set (JSON format, 2.2).
fn parse_attribute(name: &str, raw: &RawValue) -> Result<Option<AttributeValue>, EventError> {
    const EXPECTED: &str = "a string, a whole number of 32 bits, true or false";
    let text = raw.get();
    let value = match text.as_bytes().first() {
        Some(b'n') => return Ok(None),
        Some(b'"') => serde_json::from_str(text).map(AttributeValue::String),
        Some(b't' | b'f') => serde_json::from_str(text).map(AttributeValue::Boolean),
        _ => serde_json::from_str(text).map(AttributeValue::Integer),
    };
    value.map(Some).map_err(|_| invalid(name, raw, EXPECTED))
}

fn invalid(name: &str, raw: &RawValue, expected: &'static str) -> EventError {
    let mut found: String = raw.get().chars().take(40).collect();
    if found.len() < raw.get().len() {
        found.push('…');
    }
    EventError::Invalid { name: name.to_owned(), found, expected }
}

fn parse_time(text: &str) -> Result<OffsetDateTime, EventError> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| EventError::Invalid {
        name: "time".into(),
        found: format!("`{}`", text.chars().take(40).collect::<String>()),
        expected: "an RFC 3339 time such as 2026-01-31T09:30:00Z",
    })
}

/// RFC 3339 in UTC. Years outside 0..9999 have no RFC 3339 form; such a time is left at the epoch.
fn format_time(time: OffsetDateTime) -> String {
    time.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> CloudEvent {
        let mut event = CloudEvent::new("msg1", "/dingtalk/default", "dingtalk.message.received.v1");
        event.subject = Some("cid1".into());
        event.time = OffsetDateTime::from_unix_timestamp(1_774_080_994).ok();
        event.datacontenttype = Some("application/json".into());
        event.extensions.insert("partitionkey".into(), AttributeValue::String("cid1".into()));
        event.extensions.insert("attempts".into(), AttributeValue::Integer(-3));
        event.extensions.insert("sampled".into(), AttributeValue::Boolean(true));
        event.data = Some(Data::json(r#"{"b":1.10,"a":[]}"#.into()).unwrap());
        event
    }

    #[test]
    fn json_keeps_everything_and_the_digits_of_data() {
        let text = full().to_json();
        let back = CloudEvent::from_json(&text).unwrap();
        assert_eq!(back.to_json(), text);
        assert_eq!(back.json_data(), Some(r#"{"b":1.10,"a":[]}"#));
        assert_eq!(back.extension("partitionkey"), Some("cid1"));
        assert_eq!(back.extensions["attempts"], AttributeValue::Integer(-3));
        assert_eq!(back.time, full().time);
    }

    #[test]
    fn binary_data_travels_as_base64() {
        let mut event = full();
        event.data = Some(Data::Binary(vec![0, 255, 7]));
        let text = String::from_utf8(event.to_json()).unwrap();
        assert!(text.contains(r#""data_base64":"AP8H""#), "{text}");
        assert!(
            matches!(CloudEvent::from_json(text.as_bytes()).unwrap().data, Some(Data::Binary(b)) if b == [0, 255, 7])
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (r#"[1]"#, "it is not a JSON object"),
            (r#"{"id":"1"}"#, "`specversion` is missing"),
            (r#"{"specversion":"0.3"}"#, "`specversion` is `0.3`"),
            (r#"{"specversion":"1.0","id":"","source":"/","type":"t"}"#, "`id` is missing or empty"),
            (r#"{"specversion":"1.0","id":7,"source":"/","type":"t"}"#, "`id` is 7; expected a string"),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","time":"noon"}"#,
                "expected an RFC 3339 time",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","Bad_Name":"x"}"#,
                "`Bad_Name` is no attribute",
            ),
            (r#"{"specversion":"1.0","id":"1","source":"/","type":"t","ext":{"a":1}}"#, "`ext` is {\"a\":1}"),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","data":1,"data_base64":"AA=="}"#,
                "one of the two",
            ),
            (r#"{"specversion":"1.0","id":"1","source":"/","type":"t","data_base64":"*"}"#, "not base64"),
        ];
        for (text, expected) in cases {
            let error = CloudEvent::from_json(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    /// The schema is `cloudevents/formats/cloudevents.json` of <https://github.com/cloudevents/spec>, v1.0.2 (Apache-2.0).
    #[test]
    fn what_we_write_fits_the_official_schema() {
        let schema = include_str!("../tests/cloudevents.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut binary = full();
        binary.data = Some(Data::Binary(vec![1, 2, 3]));
        for event in [full(), binary, CloudEvent::new("1", "/", "t")] {
            let value = serde_json::from_slice(&event.to_json()).unwrap();
            assert!(validator.is_valid(&value), "{:?}", validator.iter_errors(&value).collect::<Vec<_>>());
        }
    }
}
