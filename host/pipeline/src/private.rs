//! What the journal keeps of a message for the host alone: who received it, and the ways to answer.

use belfry_dingtalk::{BotMessage, ConversationKind, SessionWebhook};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Stored beside the event, never shown to a plugin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Private {
    /// The ClientID of the app.
    pub(crate) client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "address")]
    pub(crate) webhook: Option<SessionWebhook>,
    /// The robot that received it, where that is not the app's ClientID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) robot: Option<String>,
    /// Who wrote, in a private chat; none for external people, whom only the webhook reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    /// Whether it was written in a private chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) private_chat: bool,
    /// Of an event that is no message: the plugin that gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plugin: Option<String>,
}

impl Private {
    /// Of an event that is no message: nobody waits for an answer.
    pub(crate) fn of_event(client_id: &str, plugin: &str) -> Self {
        Self { client_id: client_id.to_owned(), plugin: Some(plugin.to_owned()), ..Self::default() }
    }

    pub(crate) fn new(client_id: &str, message: &BotMessage) -> Self {
        let private_chat = message.conversation.kind == ConversationKind::Private;
        Self {
            client_id: client_id.to_owned(),
            webhook: message.webhook.clone(),
            robot: message.robot_code.clone().filter(|robot| robot != client_id),
            person: message.sender.staff_id.clone().filter(|_| private_chat),
            private_chat,
            plugin: None,
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        // Strings, a number and a flag: there is nothing that serde_json refuses.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Nobody and nowhere, if it cannot be read.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The robot to send as, with the app that has this ClientID.
    pub(crate) fn robot_of<'a>(&'a self, client_id: &'a str) -> &'a str {
        self.robot.as_deref().filter(|_| self.client_id == client_id).unwrap_or(client_id)
    }
}

/// A webhook with its secret.
mod address {
    use belfry_dingtalk::SessionWebhook;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Address<'a> {
        url: std::borrow::Cow<'a, str>,
        /// Milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<u64>,
    }

    pub(super) fn serialize<S: Serializer>(
        webhook: &Option<SessionWebhook>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let address = webhook
            .as_ref()
            .map(|webhook| Address { url: webhook.expose().into(), expires_at: webhook.expires_at });
        address.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SessionWebhook>, D::Error> {
        let address = Option::<Address>::deserialize(deserializer)?;
        Ok(address.map(|address| SessionWebhook::new(address.url, address.expires_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8) -> BotMessage {
        let data = format!(
            r#"{{"conversationId":"c","conversationType":"{kind}","msgId":"m","senderStaffId":"kim","robotCode":"other",
                "sessionWebhook":"https://oapi.dingtalk.com/robot/sendBySession?session=1","sessionWebhookExpiredTime":7,
                "msgtype":"text","text":{{"content":"hi"}}}}"#
        );
        BotMessage::parse(&data).unwrap()
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let written = Private::new("dinga", &message(1));
        let back = Private::from_bytes(&written.to_bytes());
        assert_eq!((back.client_id.as_str(), back.robot_of("dinga")), ("dinga", "other"));
        assert_eq!(back.robot_of("dingb"), "dingb", "another app has a robot of its own");
        assert_eq!((back.person.as_deref(), back.private_chat), (Some("kim"), true));
        assert!(back.webhook.is_some() && back.webhook == written.webhook);
        assert!(Private::from_bytes(b"?").webhook.is_none());
    }

    #[test]
    fn in_a_group_the_group_is_answered() {
        let back = Private::from_bytes(&Private::new("other", &message(2)).to_bytes());
        assert_eq!((back.person, back.private_chat, back.robot), (None, false, None));
    }

    #[test]
    fn the_address_stays_out_of_the_log() {
        assert!(!format!("{:?}", Private::new("dinga", &message(1))).contains("session=1"));
    }
}
