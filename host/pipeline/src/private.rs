//! What the journal keeps of a message for the host alone: who received it, and the address for replies.

use belfry_dingtalk::SessionWebhook;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Stored beside the event, never shown to a plugin.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Private {
    /// The ClientID of the app.
    pub(crate) client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<String>,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

impl Private {
    pub(crate) fn new(client_id: &str, webhook: Option<&SessionWebhook>) -> Self {
        Self {
            client_id: client_id.to_owned(),
            webhook: webhook.map(|webhook| webhook.expose().to_owned()),
            expires_at: webhook.and_then(|webhook| webhook.expires_at),
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        // Strings and a number: there is nothing that serde_json refuses.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Nobody and nowhere, if it cannot be read.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    pub(crate) fn webhook(&self) -> Option<SessionWebhook> {
        self.webhook.as_ref().map(|url| SessionWebhook::new(url.as_str(), self.expires_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_was() {
        let webhook = SessionWebhook::new("https://oapi.dingtalk.com/robot/sendBySession?session=1", Some(7));
        let back = Private::from_bytes(&Private::new("dinga", Some(&webhook)).to_bytes());
        assert_eq!((back.client_id.as_str(), back.webhook()), ("dinga", Some(webhook)));
        assert!(Private::from_bytes(b"?").webhook().is_none());
    }
}
