//! Light views of the other payloads. Whatever a field is not enough for is in the push's `data`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    FrameHeaders, PayloadError,
    json::{self, Members},
};

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
    /// `body` (1.0) or `data` (2.0) as JSON text. A 1.0 body asks to fetch the address it names: never do that unchecked.
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

/// What both card payloads share.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Card<'a> {
    #[serde(rename = "type", deserialize_with = "json::id")]
    kind: Option<String>,
    #[serde(deserialize_with = "json::id")]
    out_track_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    corp_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    user_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    space_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    space_type: Option<String>,
    #[serde(borrow, deserialize_with = "json::raw")]
    content: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "json::raw")]
    value: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "json::raw")]
    action_value: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "json::raw")]
    extension: Option<&'a RawValue>,
}

/// The text of an object, of a string that holds JSON, or of whatever else stands there.
fn json_text(raw: &RawValue) -> String {
    json::as_text(raw).map_or_else(|| raw.get().to_owned(), std::borrow::Cow::into_owned)
}

fn texts(raw: Option<&RawValue>) -> Vec<String> {
    json::list::<json::Scalar<'_>>(raw)
        .into_iter()
        .filter_map(|item| item.into_text().map(std::borrow::Cow::into_owned))
        .collect()
}

impl CardCallback {
    /// Reads the `data` of a push. An action whose content is not JSON is still read, with that content as it is.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        let data = json::mend(data);
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Content<'a> {
            #[serde(borrow, deserialize_with = "json::raw")]
            card_private_data: Option<&'a RawValue>,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Private<'a> {
            #[serde(borrow, deserialize_with = "json::raw")]
            action_ids: Option<&'a RawValue>,
            #[serde(borrow, deserialize_with = "json::raw")]
            params: Option<&'a RawValue>,
        }
        let card: Card<'_> = json::from_object(&data)?;
        let content = card.content.or(card.value).or(card.action_value);
        let object = content.and_then(json::object_text);
        let parsed: Content<'_> =
            object.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let private_text = parsed.card_private_data.and_then(json::object_text);
        let private: Private<'_> =
            private_text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Ok(Self {
            action_ids: texts(private.action_ids),
            params: private.params.map_or_else(|| "{}".to_owned(), json_text),
            content: content.map(json_text),
            extension: card.extension.map(json_text),
            kind: card.kind,
            out_track_id: card.out_track_id,
            corp_id: card.corp_id,
            user_id: card.user_id,
            space_id: card.space_id,
            space_type: card.space_type,
        })
    }
}

impl DynamicDataRequest {
    /// Reads the `data` of a push.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        let data = json::mend(data);
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Content<'a> {
            #[serde(borrow, deserialize_with = "json::raw")]
            dynamic_data_source_query_requests: Option<&'a RawValue>,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Query {
            #[serde(deserialize_with = "json::id")]
            dynamic_data_source_id: Option<String>,
        }
        let card: Card<'_> = json::from_object(&data)?;
        let object = card.content.and_then(json::object_text);
        let content: Content<'_> =
            object.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Ok(Self {
            data_source_ids: json::list::<Query>(content.dynamic_data_source_query_requests)
                .into_iter()
                .filter_map(|query| query.dynamic_data_source_id)
                .collect(),
            content: card.content.map(json_text),
            kind: card.kind,
            out_track_id: card.out_track_id,
            corp_id: card.corp_id,
            user_id: card.user_id,
        })
    }
}

impl GraphRequest {
    /// Reads the `data` of a push.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object or names no method or address.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        let data = json::mend(data);
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Request<'a> {
            #[serde(borrow, deserialize_with = "json::raw")]
            request_line: Option<&'a RawValue>,
            #[serde(borrow, deserialize_with = "json::raw")]
            headers: Option<&'a RawValue>,
            #[serde(borrow, deserialize_with = "json::raw")]
            body: Option<&'a RawValue>,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Line {
            #[serde(deserialize_with = "json::id")]
            method: Option<String>,
            #[serde(deserialize_with = "json::id")]
            uri: Option<String>,
        }
        let request: Request<'_> = json::from_object(&data)?;
        let line = request.request_line.ok_or(PayloadError::Missing("requestLine"))?;
        let line: Line = serde_json::from_str(line.get()).unwrap_or_default();
        let headers = request.headers.and_then(|raw| serde_json::from_str::<Members<'_>>(raw.get()).ok());
        Ok(Self {
            method: line.method.ok_or(PayloadError::Missing("requestLine.method"))?,
            uri: line.uri.ok_or(PayloadError::Missing("requestLine.uri"))?,
            headers: headers
                .map(|headers| headers.0.into_iter().map(|(k, v)| (k.into_owned(), json_text(v))).collect())
                .unwrap_or_default(),
            body: request.body.map(json_text).unwrap_or_default(),
        })
    }
}

impl IpaasRequest {
    /// Reads the `data` of a push, of either version.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        let data = json::mend(data);
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Request<'a> {
            #[serde(deserialize_with = "json::id")]
            spec_version: Option<String>,
            #[serde(deserialize_with = "json::id")]
            plugin_name: Option<String>,
            #[serde(borrow, deserialize_with = "json::raw")]
            data: Option<&'a RawValue>,
            #[serde(borrow, deserialize_with = "json::raw")]
            headers: Option<&'a RawValue>,
            #[serde(borrow, deserialize_with = "json::raw")]
            body: Option<&'a RawValue>,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Headers {
            #[serde(deserialize_with = "json::id")]
            spec_version: Option<String>,
            #[serde(rename = "type", deserialize_with = "json::id")]
            kind: Option<String>,
            #[serde(deserialize_with = "json::id")]
            connector_corp_id: Option<String>,
            #[serde(deserialize_with = "json::id")]
            connector_id: Option<String>,
            #[serde(deserialize_with = "json::id")]
            action_id: Option<String>,
        }
        let request: Request<'_> = json::from_object(&data)?;
        let headers: Headers =
            request.headers.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        Ok(Self {
            spec_version: request.spec_version.or(headers.spec_version),
            plugin: request.plugin_name.or(headers.kind),
            corp_id: headers.connector_corp_id,
            connector_id: headers.connector_id,
            action_id: headers.action_id,
            body: request.body.or(request.data).map(json_text).unwrap_or_default(),
        })
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

#[cfg(test)]
mod tests;
