use std::collections::BTreeMap;

use serde_json::value::RawValue;
use time::OffsetDateTime;

/// An event by CloudEvents 1.0 (`specversion` is always `1.0`).
#[derive(Debug, Clone)]
pub struct CloudEvent {
    /// Unique within [`source`](Self::source): the two together identify the event. Not empty.
    pub id: String,
    /// Where it happened, a URI reference such as `/dingtalk/default`. Not empty.
    pub source: String,
    /// What happened, such as `dingtalk.message.received.v1`. Not empty. `type` in JSON.
    pub kind: String,
    /// What it happened to, within the source.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<OffsetDateTime>,
    /// The media type of [`data`](Self::data); JSON if none.
    pub datacontenttype: Option<String>,
    /// The URI of the data's schema.
    pub dataschema: Option<String>,
    /// Further attributes. Names are lower-case ASCII letters and digits.
    pub extensions: BTreeMap<String, AttributeValue>,
    /// The event's own content.
    pub data: Option<Data>,
}

/// What an event carries.
#[derive(Debug, Clone)]
pub enum Data {
    /// JSON, as the text it came in: numbers keep their digits and objects their order.
    Json(JsonText),
    /// Anything else; `data_base64` in JSON.
    Binary(Vec<u8>),
}

/// Text that is known to be one JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonText(String);

/// The value of an extension attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Text; also the form of URIs, timestamps and binary values.
    String(String),
    /// A whole number of 32 bits.
    Integer(i32),
    /// True or false.
    Boolean(bool),
}

/// Why something is not a CloudEvent. Reads after "failed to read the event: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The text is not a JSON object.
    #[error("it is not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// A required attribute is missing or empty.
    #[error("the attribute `{0}` is missing or empty; CloudEvents 1.0 requires it")]
    Missing(&'static str),
    /// An attribute has a value its type does not allow.
    #[error("the attribute `{name}` is {found}; expected {expected}")]
    Invalid {
        /// The attribute.
        name: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The name of an extension breaks the naming rule.
    #[error("`{0}` is no attribute name; only lower-case letters a-z and digits are allowed")]
    Name(String),
    /// Another version of the specification.
    #[error("`specversion` is `{0}`; only `1.0` is understood")]
    Version(String),
}

impl CloudEvent {
    /// An event with the three attributes that have no default, and nothing else.
    pub fn new(id: impl Into<String>, source: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            kind: kind.into(),
            subject: None,
            time: None,
            datacontenttype: None,
            dataschema: None,
            extensions: BTreeMap::new(),
            data: None,
        }
    }

    /// The value of an extension attribute that is a string.
    pub fn extension(&self, name: &str) -> Option<&str> {
        match self.extensions.get(name)? {
            AttributeValue::String(value) => Some(value),
            AttributeValue::Integer(_) | AttributeValue::Boolean(_) => None,
        }
    }

    /// The data as JSON text; none if there is no data or it is binary.
    pub fn json_data(&self) -> Option<&str> {
        match self.data.as_ref()? {
            Data::Json(text) => Some(text.get()),
            Data::Binary(_) => None,
        }
    }

    /// As [`json_data`](Self::json_data), for the last who needs the event: nothing is copied.
    pub fn into_json_data(self) -> Option<String> {
        match self.data? {
            Data::Json(text) => Some(text.0),
            Data::Binary(_) => None,
        }
    }
}

impl Data {
    /// JSON data from text that is checked to be one JSON value.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn json(text: String) -> Result<Self, EventError> {
        serde_json::from_str::<&RawValue>(&text)?;
        Ok(Self::Json(JsonText(text)))
    }

    /// JSON data from text that its caller has parsed, or written as JSON, before. It is not checked again, which would cost as
    /// much as all the rest of an event; an event with text that is not JSON could not be read back.
    pub fn parsed_json(text: String) -> Self {
        debug_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "not JSON: {text}");
        Self::Json(JsonText(text))
    }
}

impl JsonText {
    /// The text.
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl From<Box<RawValue>> for JsonText {
    fn from(raw: Box<RawValue>) -> Self {
        Self(Box::<str>::from(raw).into_string())
    }
}
