//! Why an event does not match.

use std::fmt;

use serde_json::{Map, Value};

use super::{Entries, Member, Node};

/// The longest value or list shown, in characters.
const SHOWN: usize = 200;

/// The first path at which an event does not match a pattern. Displays as a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where, from the event's root, such as `data.state`.
    pub path: String,
    /// What the event has there, as JSON, shortened; none if it has nothing there.
    pub found: Option<String>,
    /// What the pattern takes there, as it stands in the pattern, shortened.
    pub expected: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "`{}` is {found}", self.path)?,
            None => write!(f, "`{}` is missing", self.path)?,
        }
        write!(f, "; the pattern takes {}", self.expected)
    }
}

pub(super) fn object(node: &Node, object: Option<&Map<String, Value>>, path: &str) -> Option<Mismatch> {
    let members = node.members.iter().find_map(|(name, member)| {
        let value = object.and_then(|object| object.get(name));
        explain_member(member, value, &join(path, name))
    });
    members.or_else(|| {
        node.alternatives.iter().find(|list| !list.iter().any(|node| node.matches(object))).map(|list| {
            Mismatch {
                path: join(path, "$or"),
                found: None,
                expected: format!("one of {} patterns, and none of them matches", list.len()),
            }
        })
    })
}

fn explain_member(member: &Member, value: Option<&Value>, path: &str) -> Option<Mismatch> {
    if member.matches(value) {
        return None;
    }
    match (member, value) {
        (Member::Values(entries), value) => {
            Some(Mismatch { path: path.to_owned(), found: value.map(shown), expected: expected(entries) })
        }
        (Member::Object(_), Some(value @ Value::Array(_))) => Some(Mismatch {
            path: path.to_owned(),
            found: Some(shown(value)),
            expected: "an object as it describes, and none of these is one".to_owned(),
        }),
        (Member::Object(node), value) => object(node, value.and_then(Value::as_object), path),
    }
}

fn expected(entries: &Entries) -> String {
    let mut texts: Vec<&String> = entries.texts.iter().collect();
    texts.sort();
    let texts = texts.into_iter().map(|text| Value::String(text.clone()).to_string());
    let conditions = entries.conditions.iter().map(ToString::to_string);
    shorten(&texts.chain(conditions).collect::<Vec<_>>().join(" or "))
}

fn shown(value: &Value) -> String {
    shorten(&value.to_string())
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
