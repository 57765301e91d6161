//! `live-card`: messages that grow.

use wasmtime::component::Resource;

use crate::LiveCard;
use crate::bindings::belfry::bot::live_card;
use crate::imports::chat::check_id;
use crate::state::State;
use crate::types::{ChatError, Target};

/// The longest sentence behind a failed card, in bytes.
const MAX_REASON: usize = 2_000;

/// A guest's hold on a growing message. The message itself belongs to the call and ends with it, whoever keeps the handle.
pub struct LiveHandle {
    call: u64,
    index: usize,
}

/// A growing message of the current call.
pub(crate) struct Live {
    /// None once it has ended.
    card: Option<Box<dyn LiveCard>>,
    text: String,
}

type Answer<T> = wasmtime::Result<Result<T, ChatError>>;

impl State {
    async fn open_live(&mut self, to: Target, title: &str) -> Result<Resource<LiveHandle>, ChatError> {
        if !title.is_empty() {
            check_id("live card's title", title)?;
        }
        let index = self.take_send(&to)?;
        let chat = self.chat()?;
        // Before anybody sees it: a guest that can hold no more handles shall not leave an empty card behind.
        let handle = LiveHandle { call: self.number, index: self.live.len() };
        let handle =
            self.table.push(handle).map_err(|_| ChatError::Limit(crate::state::too_many_handles()))?;
        match chat.open_live(index, to, title, &self.spec.grants.chat.live).await {
            Ok(card) => {
                self.live.push(Live { card: Some(card), text: String::new() });
                Ok(handle)
            }
            Err(error) => {
                let _ = self.table.delete(handle);
                Err(error)
            }
        }
    }

    fn live(&mut self, handle: &Resource<LiveHandle>) -> wasmtime::Result<Result<&mut Live, ChatError>> {
        let LiveHandle { call, index } = *self.table.get(handle)?;
        let number = self.number;
        let live = self.live.get_mut(index).filter(|live| call == number && live.card.is_some());
        Ok(live.ok_or_else(|| ChatError::Invalid("this live card has ended".to_owned())))
    }

    fn show(&mut self, handle: &Resource<LiveHandle>, markdown: &str, from_start: bool) -> Answer<()> {
        let before = match self.live(handle)? {
            Ok(_) if from_start => 0,
            Ok(live) => live.text.len(),
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.check_size(before + markdown.len()) {
            return Ok(Err(error));
        }
        Ok(self.live(handle)?.map(|live| {
            live.text.truncate(before);
            live.text.push_str(markdown);
            if let Some(card) = &live.card {
                card.show(&live.text);
            }
        }))
    }

    fn take_live(&mut self, handle: &Resource<LiveHandle>) -> Answer<Box<dyn LiveCard>> {
        let ended = || ChatError::Invalid("this live card has ended".to_owned());
        Ok(self.live(handle)?.and_then(|live| live.card.take().ok_or_else(ended)))
    }
}

impl live_card::Host for State {}

impl live_card::HostCard for State {
    async fn create(&mut self, to: Target, title: String) -> Answer<Resource<LiveHandle>> {
        Ok(self.open_live(to, &title).await)
    }

    async fn append(&mut self, card: Resource<LiveHandle>, markdown: String) -> Answer<()> {
        self.show(&card, &markdown, false)
    }

    async fn set(&mut self, card: Resource<LiveHandle>, markdown: String) -> Answer<()> {
        self.show(&card, &markdown, true)
    }

    async fn finish(&mut self, card: Resource<LiveHandle>) -> Answer<()> {
        Ok(match self.take_live(&card)? {
            Ok(card) => card.finish().await,
            Err(error) => Err(error),
        })
    }

    async fn fail(&mut self, card: Resource<LiveHandle>, reason: String) -> Answer<()> {
        let reason = crate::text::block(&reason, MAX_REASON);
        Ok(match self.take_live(&card)? {
            Ok(card) => card.fail(&reason).await,
            Err(error) => Err(error),
        })
    }

    async fn drop(&mut self, card: Resource<LiveHandle>) -> wasmtime::Result<()> {
        let LiveHandle { call, index } = self.table.delete(card)?;
        if call == self.number
            && let Some(live) = self.live.get_mut(index)
        {
            // Ends with the text it has.
            live.card = None;
            live.text = String::new();
        }
        Ok(())
    }
}
