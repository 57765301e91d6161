//! Live cards in memory.

use crate::chat::Error;
use crate::types::Target;

use super::with;

/// A live card that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// To whom it is shown.
    pub to: Target,
    /// Its title.
    pub title: String,
    /// Its text as it is now.
    pub text: String,
    /// How far it is.
    pub state: LiveState,
}

/// How far a live card is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveState {
    /// It grows.
    Open,
    /// It ended with the text it has.
    Finished,
    /// It ended as failed, with this sentence.
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct LiveHandle(usize);

impl LiveHandle {
    pub(crate) fn create(to: &Target, title: &str) -> Result<Self, Error> {
        with(|world| {
            let (title, text) = (title.to_owned(), String::new());
            world.live.push(Live { to: to.clone(), title, text, state: LiveState::Open });
            Ok(LiveHandle(world.live.len() - 1))
        })
    }

    pub(crate) fn append(&self, markdown: &str) -> Result<(), Error> {
        self.change(|live| live.text.push_str(markdown))
    }

    pub(crate) fn set(&self, markdown: &str) -> Result<(), Error> {
        self.change(|live| markdown.clone_into(&mut live.text))
    }

    pub(crate) fn finish(&self) -> Result<(), Error> {
        self.change(|live| live.state = LiveState::Finished)
    }

    pub(crate) fn fail(&self, reason: &str) -> Result<(), Error> {
        self.change(|live| live.state = LiveState::Failed(reason.to_owned()))
    }

    fn change(&self, change: impl FnOnce(&mut Live)) -> Result<(), Error> {
        let ended = || Error::Invalid("the card has ended".to_owned());
        with(|world| {
            let live = world.live.get_mut(self.0).filter(|live| live.state == LiveState::Open);
            live.map(change).ok_or_else(ended)
        })
    }
}

impl Drop for LiveHandle {
    fn drop(&mut self) {
        // A card that is dropped ends with the text it has; one that has ended stays as it is.
        let _ = self.finish();
    }
}
