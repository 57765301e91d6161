//! Interactive cards, made from templates of DingTalk's card platform.

use crate::chat::Error;
use crate::types::{CardUpdate, Target};

/// Sends a card made of a published template with these values of its variables, and returns its id, under which an
/// [`ActionHandler`](crate::ActionHandler) hears of it.
///
/// # Errors
///
/// As [`chat::send`](crate::chat::send).
pub fn send<N: Into<String>, V: Into<String>>(
    to: &Target,
    template: impl Into<String>,
    data: impl IntoIterator<Item = (N, V)>,
) -> Result<String, Error> {
    let (template, data) = (template.into(), pairs(data));
    #[cfg(target_arch = "wasm32")]
    return {
        use crate::bindings::belfry::bot::cards::{Card, send};
        send(to, &Card { template, data })
    };
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::send_card(to, template, data)
}

/// Changes variables of a card; those not named stay.
///
/// # Errors
///
/// As [`chat::send`](crate::chat::send).
pub fn update<N: Into<String>, V: Into<String>>(
    id: &str,
    data: impl IntoIterator<Item = (N, V)>,
) -> Result<(), Error> {
    let data = pairs(data);
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::belfry::bot::cards::update(id, &data);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::update_card(id, data)
}

impl CardUpdate {
    /// New values that everybody sees.
    pub fn new<N: Into<String>, V: Into<String>>(data: impl IntoIterator<Item = (N, V)>) -> Self {
        CardUpdate { data: pairs(data), private_data: Vec::new() }
    }

    /// Adds values that only the person who acted sees.
    #[must_use]
    pub fn private<N: Into<String>, V: Into<String>>(
        mut self,
        data: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.private_data.extend(pairs(data));
        self
    }
}

fn pairs<N: Into<String>, V: Into<String>>(data: impl IntoIterator<Item = (N, V)>) -> Vec<(String, String)> {
    data.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}
