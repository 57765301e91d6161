//! A payload without its secret.

use serde_json::value::RawValue;

use crate::json::{self, Members};

/// The member that holds the address to answer to, which whoever knows it can post to.
const SECRET: &str = "sessionWebhook";

/// Whether the name stands in `text` (`sessionWebhookExpiredTime` is another name, and harmless). Looked for by its rarest
/// letter, which is found several times faster than the whole.
fn names_it(text: &str) -> bool {
    text.match_indices('W').any(|(at, _)| {
        text.get(..at).is_some_and(|before| before.ends_with("session"))
            && text
                .get(at + 1..)
                .and_then(|after| after.strip_prefix("ebhook"))
                .is_some_and(|after| !after.starts_with("ExpiredTime"))
    })
}

/// `data` with the member whose value is `webhook` cut out and everything else as it is. None where that is not all there is
/// to do, and [`redacted_raw`] has to look closer: the name stands somewhere else too, or is written with escapes.
///
/// `data` is a JSON object, and `webhook` a part of it.
pub(super) fn without_webhook(data: &str, webhook: Option<&RawValue>) -> Option<String> {
    let data = data.trim();
    let Some(webhook) = webhook.map(RawValue::get) else {
        return (!names_it(data)).then(|| data.to_owned());
    };
    let start = (webhook.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
    let before = data.get(..start)?.trim_end().strip_suffix(':')?.trim_end();
    let before = before.strip_suffix('"')?.strip_suffix(SECRET)?.strip_suffix('"')?;
    let after = data.get(start + webhook.len()..)?.trim_start();
    // With the member goes one of the commas around it.
    let (before, after) = match after.strip_prefix(',') {
        Some(after) => (before, after.trim_start()),
        None => (before.trim_end().trim_end_matches(','), after),
    };
    if names_it(before) || names_it(after) {
        return None;
    }
    Some([before, after].concat())
}

/// `data` written anew without the member, wherever it stands. `{}` if `data` is not a JSON object.
pub(super) fn redacted_raw(data: &str) -> String {
    let Ok(mut members) = json::from_object::<Members<'_>>(data) else { return "{}".to_owned() };
    members.0.retain(|(key, _)| key != SECRET);
    // No known payload nests it, but a forwarded or quoted message might one day.
    for (_, value) in &members.0 {
        if names_it(value.get()) {
            return without_nested(&members, SECRET);
        }
    }
    members.to_json()
}

fn without_nested(members: &Members<'_>, secret: &str) -> String {
    let Ok(mut value) = serde_json::from_str(&members.to_json()) else { return "{}".to_owned() };
    remove(&mut value, secret);
    value.to_string()
}

fn remove(value: &mut serde_json::Value, secret: &str) {
    match value {
        serde_json::Value::Object(map) => {
            map.remove(secret);
            map.values_mut().for_each(|value| remove(value, secret));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|value| remove(value, secret)),
        // JSON in a string: dropped whole rather than searched.
        serde_json::Value::String(text) if text.contains(secret) && text.contains("sendBySession") => {
            text.clear()
        }
        _ => {}
    }
}
