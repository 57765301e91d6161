//! `chat` and `cards`: messages that leave before the handler returns.

use std::sync::Arc;

use crate::bindings::belfry::bot::{cards, chat};
use crate::state::State;
use crate::types::{ChatError, MediaKind, Reply, Target};
use crate::{Chat, reason, text};

/// The longest id of a person, a conversation, a message, a card or a template, in bytes.
const MAX_ID: usize = 256;

/// The longest download code, in bytes. DingTalk's have some 400.
const MAX_CODE: usize = 4 << 10;

/// Variables of a card that one call may set.
const MAX_VARIABLES: usize = 100;

type Answer<T> = wasmtime::Result<Result<T, ChatError>>;

impl State {
    /// The way to DingTalk.
    ///
    /// # Errors
    ///
    /// This call has none.
    pub(crate) fn chat(&self) -> Result<Arc<dyn Chat>, ChatError> {
        self.context.chat.clone().ok_or_else(|| {
            ChatError::Unavailable(
                "there is no chat in this call: `describe`, `transform` and the functions of `resident` have none"
                    .to_owned(),
            )
        })
    }

    /// Checks the grant for a target and counts a message or a card: its place among those of this call.
    ///
    /// # Errors
    ///
    /// The target is malformed or not granted, or there were as many as `limits.sends` allows.
    pub(crate) fn take_send(&mut self, to: &Target) -> Result<u32, ChatError> {
        self.check_target(to)?;
        let most = self.spec.limits.sends;
        if self.sends >= most {
            return Err(ChatError::Limit(format!(
                "one call may send {most} messages and cards; raise `limits.sends` in [plugins.{}]",
                self.spec.name
            )));
        }
        let index = self.sends;
        self.sends += 1;
        Ok(index)
    }

    /// Refuses what is larger than all that the handler may return.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), ChatError> {
        let most = self.spec.limits.output;
        if bytes as u64 <= most {
            return Ok(());
        }
        Err(ChatError::Limit(format!(
            "it has {}, a message may have {}; raise `limits.output` in [plugins.{}]",
            text::size(bytes as u64),
            text::size(most),
            self.spec.name
        )))
    }

    fn check_target(&self, to: &Target) -> Result<(), ChatError> {
        let grant = &self.spec.grants.chat;
        let (what, key, id, granted) = match to {
            Target::Current => return Ok(()),
            Target::User(id) => ("user", "users", id, &grant.users),
            Target::Group(id) => ("group", "groups", id, &grant.groups),
        };
        check_id(what, id)?;
        if granted.iter().any(|granted| granted == id || granted == "*") {
            return Ok(());
        }
        let name = &self.spec.name;
        let shown = toml::Value::String(text::line(id, MAX_ID));
        let mend = match grant.users.is_empty() && grant.groups.is_empty() {
            true => format!("add `chat = {{ {key} = [{shown}] }}` to [plugins.{name}]"),
            false => format!("add {shown} to `{key}` of `chat` in [plugins.{name}]"),
        };
        Err(ChatError::NotGranted(format!("plugin `{name}` may not write to the {what} {shown}; {mend}")))
    }

    async fn send_message(&mut self, to: Target, message: Reply) -> Result<String, ChatError> {
        self.check_size(reason::weigh_reply(&message))?;
        let index = self.take_send(&to)?;
        self.chat()?.send(index, to, message).await
    }

    async fn recall_message(&mut self, id: &str) -> Result<(), ChatError> {
        let grant = &self.spec.grants.chat;
        if grant.users.is_empty() && grant.groups.is_empty() {
            let name = &self.spec.name;
            return Err(ChatError::NotGranted(format!(
                "plugin `{name}` may recall only what it sent to granted users and groups, and has none; add \
                 `chat = {{ users = [\"…\"] }}` to [plugins.{name}]"
            )));
        }
        check_id("message", id)?;
        self.chat()?.recall(id).await
    }

    async fn download_content(&mut self, code: &str) -> Result<Vec<u8>, ChatError> {
        if code.is_empty() || code.len() > MAX_CODE {
            return Err(ChatError::Invalid(format!("a download code has 1 to {MAX_CODE} bytes")));
        }
        let chat = self.chat()?;
        self.take_request().map_err(ChatError::Limit)?;
        let most = self.spec.limits.transfer;
        let content = chat.download(code, most).await?;
        self.check_transfer("this content", content.len())?;
        Ok(content.into())
    }

    async fn upload_content(
        &mut self,
        kind: MediaKind,
        name: &str,
        data: Vec<u8>,
    ) -> Result<String, ChatError> {
        if name.is_empty()
            || name.len() > MAX_ID
            || name.chars().any(|char| char.is_control() || "/\\".contains(char))
        {
            return Err(ChatError::Invalid(format!(
                "a file's name has 1 to {MAX_ID} bytes, and neither slashes nor control characters"
            )));
        }
        self.check_transfer("this file", data.len())?;
        let chat = self.chat()?;
        self.take_request().map_err(ChatError::Limit)?;
        chat.upload(kind, name, data.into()).await
    }

    fn check_transfer(&self, what: &str, bytes: usize) -> Result<(), ChatError> {
        let most = self.spec.limits.transfer;
        if bytes as u64 <= most {
            return Ok(());
        }
        Err(ChatError::Limit(format!(
            "{what} has {}, {} are allowed; raise `limits.transfer` in [plugins.{}]",
            text::size(bytes as u64),
            text::size(most),
            self.spec.name
        )))
    }

    async fn send_card(&mut self, to: Target, card: cards::Card) -> Result<String, ChatError> {
        check_id("card template", &card.template)?;
        self.check_variables(&card.data)?;
        let index = self.take_send(&to)?;
        self.chat()?.send_card(index, to, &card.template, card.data).await
    }

    async fn update_card(&mut self, id: &str, data: Vec<(String, String)>) -> Result<(), ChatError> {
        check_id("card", id)?;
        self.check_variables(&data)?;
        let chat = self.chat()?;
        self.take_request().map_err(ChatError::Limit)?;
        chat.update_card(id, data).await
    }

    fn check_variables(&self, data: &[(String, String)]) -> Result<(), ChatError> {
        if data.len() > MAX_VARIABLES {
            let count = data.len();
            return Err(ChatError::Invalid(format!("{count} variables, a card may have {MAX_VARIABLES}")));
        }
        data.iter().try_for_each(|(name, _)| check_id("card variable", name))?;
        self.check_size(data.iter().map(|(name, value)| name.len() + value.len()).sum())
    }
}

/// Checks the length of an id or a name.
pub(crate) fn check_id(what: &str, id: &str) -> Result<(), ChatError> {
    match id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
        true => Err(ChatError::Invalid(format!(
            "the id or name of a {what} has 1 to {MAX_ID} bytes and no control characters"
        ))),
        false => Ok(()),
    }
}

impl chat::Host for State {
    async fn send(&mut self, to: Target, message: Reply) -> Answer<String> {
        Ok(self.send_message(to, message).await)
    }

    async fn recall(&mut self, id: String) -> Answer<()> {
        Ok(self.recall_message(&id).await)
    }

    async fn download(&mut self, code: String) -> Answer<Vec<u8>> {
        Ok(self.download_content(&code).await)
    }

    async fn upload(&mut self, kind: MediaKind, name: String, data: Vec<u8>) -> Answer<String> {
        Ok(self.upload_content(kind, &name, data).await)
    }
}

impl cards::Host for State {
    async fn send(&mut self, to: Target, card: cards::Card) -> Answer<String> {
        Ok(self.send_card(to, card).await)
    }

    async fn update(&mut self, id: String, data: Vec<(String, String)>) -> Answer<()> {
        Ok(self.update_card(&id, data).await)
    }
}
