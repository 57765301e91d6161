//! The plugin's settings: `config` in its `[plugins.NAME]` table.

use std::fmt::Display;
use std::str::FromStr;

use crate::Failure;

/// A setting; none if it is not set.
pub fn get(key: &str) -> Option<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::wasi::config::store::get(key).ok().flatten();
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::with(|world| world.config.get(key).cloned())
}

/// A setting, or this where it is not set.
pub fn get_or(key: &str, default: &str) -> String {
    get(key).unwrap_or_else(|| default.to_owned())
}

/// A setting without which the plugin cannot work.
///
/// # Errors
///
/// It is not set; a permanent failure that says how to.
pub fn require(key: &str) -> Result<String, Failure> {
    get(key).ok_or_else(|| {
        Failure::Permanent(format!(
            "the setting `{key}` is missing: add `config = {{ {key} = \"…\" }}` to the plugin's table"
        ))
    })
}

/// A setting that is not text: a number, `true` or `false`.
///
/// # Errors
///
/// It is set, but is nothing of that type; a permanent failure that says so.
pub fn parse<T: FromStr<Err: Display>>(key: &str) -> Result<Option<T>, Failure> {
    let Some(text) = get(key) else { return Ok(None) };
    let parsed = text.trim().parse();
    parsed.map(Some).map_err(|error| {
        Failure::Permanent(format!("the setting `{key}` is `{text}`, which is not right: {error}"))
    })
}

/// All settings, in the order of their keys.
pub fn all() -> Vec<(String, String)> {
    #[cfg(target_arch = "wasm32")]
    let mut all = crate::bindings::wasi::config::store::get_all().unwrap_or_default();
    #[cfg(not(target_arch = "wasm32"))]
    let mut all: Vec<(String, String)> =
        crate::testing::with(|world| world.config.clone().into_iter().collect());
    all.sort();
    all
}
