//! Cutting messages into parts that DingTalk accepts.

use unicode_segmentation::UnicodeSegmentation;

use super::{ActionCard, At, OutMessage, body};
use crate::json::escaped_len;

/// Left free of the limit in every body, for a `msgUuid`.
const RESERVE: usize = 200;

/// A marker of a code fence with its info string is reopened only up to this many bytes; a longer one is no info string.
const MAX_FENCE: usize = 200;

/// Below this a text would be cut into crumbs; a message with so long a title or address is left as it is.
const MIN_ROOM: usize = 1_000;

/// Cuts `message` into parts whose bodies have at most `limit` bytes.
pub(super) fn split(message: OutMessage, limit: usize) -> Vec<OutMessage> {
    let limit = limit.saturating_sub(RESERVE);
    if fits(&message, limit) {
        return vec![message];
    }
    match message {
        OutMessage::Text { content, at } => {
            let empty = |at| OutMessage::Text { content: String::new(), at };
            split_text(&content, &at, limit, empty, |content, at| OutMessage::Text { content, at })
        }
        OutMessage::Markdown { title, text, at } => {
            let make = |text, at| OutMessage::Markdown { title: title.clone(), text, at };
            split_text(&text, &at, limit, |at| make(String::new(), at), make)
        }
        OutMessage::ActionCard(card) => split_card(card, limit),
        OutMessage::Link { title, text, message_url, pic_url } => {
            let make = |text| OutMessage::Link {
                title: title.clone(),
                text,
                message_url: message_url.clone(),
                pic_url: pic_url.clone(),
            };
            let Some(room) = room(&make(String::new()), limit) else { return vec![make(text)] };
            let start = prefix(&text, room - "…".len());
            vec![make(format!("{start}…"))]
        }
        OutMessage::FeedCard { links } => {
            let mut cards: Vec<Vec<_>> = Vec::new();
            for link in links {
                if let Some(card) = cards.last_mut() {
                    card.push(link.clone());
                    if fits(&OutMessage::FeedCard { links: card.clone() }, limit) {
                        continue;
                    }
                    card.pop();
                }
                cards.push(vec![link]);
            }
            cards.into_iter().map(|links| OutMessage::FeedCard { links }).collect()
        }
        OutMessage::Empty => vec![OutMessage::Empty],
    }
}

fn fits(message: &OutMessage, limit: usize) -> bool {
    message.to_body(None).len() <= limit
}

/// Bytes left for the escaped text in a message whose text is empty.
fn room(empty: &OutMessage, limit: usize) -> Option<usize> {
    let room = limit.checked_sub(empty.to_body(None).len())?;
    (room >= MIN_ROOM).then_some(room)
}

fn split_text(
    text: &str,
    at: &At,
    limit: usize,
    empty: impl Fn(At) -> OutMessage,
    make: impl Fn(String, At) -> OutMessage,
) -> Vec<OutMessage> {
    // Every part is searched for everybody: without the bound a long list would take seconds.
    let at = &body::within_bound(at);
    // The mentions appended for an empty text also stand in its body, so the room is rather too small than too large.
    let Some(room) = room(&empty(at.clone()), limit) else { return vec![make(text.to_owned(), at.clone())] };
    let text = body::with_mentions(text, at);
    let mut left = at.clone();
    let parts = cut(&text, room).into_iter().map(|part| {
        let at = take_mentioned(&mut left, &part);
        (part, at)
    });
    let mut parts: Vec<(String, At)> = parts.collect();
    // A mention that a cut went through is named anew at the end; the room was measured with all of them.
    if let Some((_, at)) = parts.last_mut() {
        at.user_ids.append(&mut left.user_ids);
        at.mobiles.append(&mut left.mobiles);
        at.dingtalk_ids.append(&mut left.dingtalk_ids);
    }
    parts.into_iter().map(|(part, at)| make(part, at)).collect()
}

/// Moves those out of `left` whom `part` names, so that nobody is notified twice.
fn take_mentioned(left: &mut At, part: &str) -> At {
    let take = |ids: &mut Vec<String>| ids.extract_if(.., |id| body::is_mentioned(part, id)).collect();
    At {
        user_ids: take(&mut left.user_ids),
        mobiles: take(&mut left.mobiles),
        dingtalk_ids: take(&mut left.dingtalk_ids),
        all: std::mem::take(&mut left.all),
    }
}

fn split_card(card: ActionCard, limit: usize) -> Vec<OutMessage> {
    let with_text = |text| OutMessage::ActionCard(ActionCard { text, ..card.clone() });
    // The buttons make the card the tightest of the parts.
    let Some(room) = room(&with_text(String::new()), limit) else {
        return vec![OutMessage::ActionCard(card)];
    };
    let mut parts = cut(&card.text, room);
    let last = parts.pop().unwrap_or_default();
    let mut messages: Vec<_> =
        parts.into_iter().map(|text| OutMessage::markdown(card.title.clone(), text)).collect();
    messages.push(with_text(last));
    messages
}

/// A code fence: the marker, and the whole opening line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fence<'a> {
    marker: &'a str,
    line: &'a str,
}

impl<'a> Fence<'a> {
    /// The fence that `line` would open (CommonMark 4.5: up to three spaces, then three or more of one character).
    fn opened_by(line: &'a str) -> Option<Self> {
        let line = line.trim_end();
        let inner = line.trim_start_matches(' ');
        if line.len() - inner.len() > 3 || measure(line) > MAX_FENCE {
            return None;
        }
        let first = inner.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = inner.trim_start_matches(first);
        let marker = inner.strip_suffix(info)?;
        let closes_on_its_line = first == '`' && info.contains('`');
        (marker.len() >= 3 && !closes_on_its_line).then_some(Self { marker, line })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        Fence::opened_by(line).is_some_and(|other| {
            other.marker.starts_with(self.marker) && other.line.trim_start().len() == other.marker.len()
        })
    }
}

/// The fence open at the end of `text`, given the one open at its start.
fn fence_after<'a>(text: &'a str, mut open: Option<Fence<'a>>) -> Option<Fence<'a>> {
    for line in text.split('\n') {
        open = step(open, line);
    }
    open
}

fn step<'a>(open: Option<Fence<'a>>, line: &'a str) -> Option<Fence<'a>> {
    match open {
        Some(fence) if fence.is_closed_by(line) => None,
        Some(fence) => Some(fence),
        None => Fence::opened_by(line),
    }
}

/// Cuts `text` into parts of at most `room` bytes each, counted as in a JSON string.
fn cut(text: &str, room: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut open: Option<Fence<'_>> = None;
    loop {
        let head = open.map(|fence| format!("{}\n", fence.line)).unwrap_or_default();
        let head_len: usize = head.chars().map(escaped_len).sum();
        let available = room.saturating_sub(head_len);
        if measure(rest) <= available {
            // A fence that was open at the very end needs no empty copy.
            if parts.is_empty() || !rest.trim().is_empty() {
                parts.push(format!("{head}{rest}"));
            }
            return parts;
        }
        // Room to close a fence.
        let window = prefix(rest, available.saturating_sub(MAX_FENCE + "\\n".len()));
        let (taken, skipped) = boundary(window, rest, open);
        let (part, tail) = rest.split_at(taken);
        let after = fence_after(part, open);
        let foot = after.map(|fence| format!("\n{}", fence.marker)).unwrap_or_default();
        if !part.trim().is_empty() {
            parts.push(format!("{head}{part}{foot}"));
        }
        rest = tail.get(skipped..).unwrap_or_default();
        open = after;
        if let Some(fence) = after
            && skipped > 0
        {
            // Cut just before the closing line: it is closed already.
            let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
            if fence.is_closed_by(line) {
                (rest, open) = (behind, None);
            }
        }
    }
}

fn measure(text: &str) -> usize {
    text.chars().map(escaped_len).sum()
}

/// The longest start of `text` that takes at most `room` bytes and ends between two characters as people see them, but
/// at least one `char`.
fn prefix(text: &str, room: usize) -> &str {
    let mut used = 0;
    let mut end = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        used += measure(cluster);
        if used > room {
            break;
        }
        end = at + cluster.len();
    }
    if end == 0 {
        // One cluster larger than a message: an emoji does not get so long, a joke does.
        used = 0;
        for (at, c) in text.char_indices() {
            used += escaped_len(c);
            if at > 0 && used > room {
                break;
            }
            end = at + c.len_utf8();
        }
    }
    text.get(..end).unwrap_or(text)
}

/// Where to cut within `window`, a start of `rest`: how many bytes to take, and how many to leave out after them.
fn boundary(window: &str, rest: &str, open: Option<Fence<'_>>) -> (usize, usize) {
    // A cut in the first half would waste more room than a good boundary is worth.
    let half = window.len() / 2;
    let (mut paragraph, mut line) = (None, None);
    let mut any_line = None;
    let mut fence = open;
    let mut start = 0;
    while let Some(length) = window.get(start..).and_then(|tail| tail.find('\n')) {
        let end = start + length;
        fence = step(fence, window.get(start..end).unwrap_or_default());
        if end > half {
            any_line = Some(end);
            if fence.is_none() {
                line = Some(end);
                if rest.get(end..).is_some_and(|tail| tail.starts_with("\n\n")) {
                    paragraph = Some(end);
                }
            }
        }
        start = end + 1;
    }
    if let Some(end) = paragraph {
        let blank = rest.get(end..).map_or(0, |tail| tail.len() - tail.trim_start_matches('\n').len());
        return (end, blank);
    }
    if let Some(end) = line.or(any_line) {
        return (end, 1);
    }
    if rest.get(window.len()..).is_some_and(|tail| tail.starts_with('\n')) {
        return (window.len(), 1);
    }
    match window.rfind(' ').filter(|at| *at > half) {
        Some(at) => (at, 1),
        None => (window.len(), 0),
    }
}

#[cfg(test)]
mod tests;
