//! One message that grows while the handler works, as an assistant's answer does.

#[cfg(target_arch = "wasm32")]
use crate::bindings::belfry::bot::live_card::Card as Inner;
use crate::chat::Error;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::LiveHandle as Inner;
use crate::types::Target;

/// A growing message. Dropped before it is finished, it ends with the text it has.
#[derive(Debug)]
pub struct Card(Inner);

impl Card {
    /// Begins one. `title` is used where it is sent as markdown; empty takes the first line.
    ///
    /// # Errors
    ///
    /// As [`chat::send`](crate::chat::send).
    pub fn create(to: &Target, title: &str) -> Result<Card, Error> {
        Inner::create(to, title).map(Card)
    }

    /// Adds to the text. Returns at once.
    ///
    /// # Errors
    ///
    /// It has ended, or the text is over a limit.
    pub fn append(&self, markdown: &str) -> Result<(), Error> {
        self.0.append(markdown)
    }

    /// Replaces the text.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn set(&self, markdown: &str) -> Result<(), Error> {
        self.0.set(markdown)
    }

    /// Ends it with the text it has, and waits until DingTalk has it.
    ///
    /// # Errors
    ///
    /// DingTalk does not take it.
    pub fn finish(self) -> Result<(), Error> {
        self.0.finish()
    }

    /// Ends it as failed, with a sentence for the reader behind the text.
    ///
    /// # Errors
    ///
    /// DingTalk does not take it.
    pub fn fail(self, reason: &str) -> Result<(), Error> {
        self.0.fail(reason)
    }
}
