//! Patterns over events, by the grammar of Alibaba Cloud's EventBridge.
//!
//! - `parse`: from JSON to a compiled pattern, or to a sentence that says what is wrong where.
//! - `condition`: what one value must be.
//! - `explain`: why an event does not match.

mod condition;
mod explain;
mod parse;

use std::collections::HashSet;

use serde_json::{Map, Value};

use self::condition::Condition;
pub use self::{explain::Mismatch, parse::PatternError};

/// What an event must look like, compiled.
///
/// A pattern is an object with the nesting of the event in CloudEvents' JSON format. Every member must match; an array
/// lists what a value may be, and one entry is enough:
///
/// ```
/// # use belfry_event::Pattern;
/// # use serde_json::json;
/// let pattern = Pattern::parse(&json!({
///     "type": ["dingtalk.user_add_org", { "prefix": "todo." }],
///     "data": { "count": [{ "numeric": [">", 0, "<=", 5] }], "state": [{ "anything-but": "draft" }] }
/// }))?;
/// assert!(pattern.matches(&json!({ "type": "todo.done.v1", "data": { "count": 3, "state": "sent" } })));
/// # Ok::<(), belfry_event::PatternError>(())
/// ```
///
/// | entry | takes |
/// |---|---|
/// | `"text"`, `12`, `true`, `null` | just this value; numbers by value, so `300` is `3.0e2` |
/// | `{"prefix": "a"}`, `{"suffix": "a"}`, `{"contains": "a"}` | a text |
/// | `{"anything-but": "a"}`, `12`, `["a", 12]` or `{"prefix": "a"}` (any of the three above) | a value that is there and is not that |
/// | `{"numeric": [">", 0, "<=", 5]}` | a number; `=`, `!=`, `<`, `<=`, `>`, `>=`, one or a range of two |
/// | `{"cidr": "10.0.0.0/24"}` | an IP address in a text, version 4 or 6 |
/// | `{"exists": true}`, `{"exists": false}` | a member that is there, whatever it holds, or is not |
/// | `{"equals-ignore-case": "a"}` | a text, whatever its case (an extension: EventBridge lacks it) |
///
/// `"$or": [{…}, {…}]` stands beside members and asks for one of several patterns (an extension too). Where the event has an
/// array, one of its elements must match: a value for an array of entries, or an object for a nested pattern, whose members
/// must then all match in that one object. A value that is missing matches `{"exists": false}` and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    root: Node,
    extensions: Vec<&'static str>,
}

/// A pattern for an object.
#[derive(Debug, Clone, PartialEq, Default)]
struct Node {
    /// Its members; all must match.
    members: Vec<(String, Member)>,
    /// Of each list, one must match.
    alternatives: Vec<Vec<Node>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Member {
    Values(Entries),
    Object(Node),
}

/// The entries of an array: what a value may be.
#[derive(Debug, Clone, PartialEq, Default)]
struct Entries {
    /// Texts, apart from the others because lists of them can be long.
    texts: HashSet<String>,
    conditions: Vec<Condition>,
}

/// What is known of a text attribute before there is an event.
#[derive(Debug, Clone, Copy)]
pub enum Known<'a> {
    /// All of it.
    Text(&'a str),
    /// How it begins, and that it is none of these.
    Starts {
        /// The beginning.
        with: &'a str,
        /// What it is not.
        except: &'a [&'a str],
    },
}

impl Pattern {
    /// Whether an event, in CloudEvents' JSON format with `data` as JSON, matches.
    pub fn matches(&self, event: &Value) -> bool {
        self.root.matches(event.as_object())
    }

    /// Why an event does not match: the first path at which it does not. None if it matches.
    pub fn explain(&self, event: &Value) -> Option<Mismatch> {
        explain::object(&self.root, event.as_object(), "")
    }

    /// Whether an event may match of which only this attribute is known: what cannot match needs no subscription.
    pub fn may_match(&self, attribute: &str, known: Known<'_>) -> bool {
        self.root.may_match(attribute, known)
    }

    /// What it uses that EventBridge does not know, each once: of use to somebody who wants to take it there.
    pub fn extensions(&self) -> &[&'static str] {
        &self.extensions
    }
}

impl Node {
    /// None is an object that is missing, or something that is none.
    fn matches(&self, object: Option<&Map<String, Value>>) -> bool {
        self.members.iter().all(|(name, member)| member.matches(object.and_then(|object| object.get(name))))
            && self.alternatives.iter().all(|list| list.iter().any(|node| node.matches(object)))
    }

    fn may_match(&self, attribute: &str, known: Known<'_>) -> bool {
        let about = self.members.iter().filter(|(name, _)| name == attribute);
        let mut about = about.map(|(_, member)| member);
        about.all(|member| match member {
            Member::Values(entries) => entries.may_match(known),
            Member::Object(_) => false,
        }) && self.alternatives.iter().all(|list| list.iter().any(|node| node.may_match(attribute, known)))
    }
}

impl Member {
    fn matches(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Member::Values(entries), value) => entries.match_any(value),
            (Member::Object(node), Some(Value::Array(elements))) => {
                elements.iter().any(|element| element.is_object() && node.matches(element.as_object()))
            }
            (Member::Object(node), value) => node.matches(value.and_then(Value::as_object)),
        }
    }
}

impl Entries {
    /// Whether a value, or one of the elements of an array, is one of these.
    fn match_any(&self, value: Option<&Value>) -> bool {
        let exists = self.conditions.iter().any(|condition| condition.takes_presence(value.is_some()));
        exists || value.is_some_and(|value| self.match_within(value))
    }

    fn match_within(&self, value: &Value) -> bool {
        match value {
            Value::Array(elements) => elements.iter().any(|element| self.match_within(element)),
            Value::String(text) => self.texts.contains(text) || self.takes(value),
            _ => self.takes(value),
        }
    }

    fn takes(&self, value: &Value) -> bool {
        self.conditions.iter().any(|condition| condition.takes(value))
    }

    fn may_match(&self, known: Known<'_>) -> bool {
        match known {
            Known::Text(text) => self.match_any(Some(&Value::String(text.to_owned()))),
            Known::Starts { with, except } => {
                let possible = |text: &String| text.starts_with(with) && !except.contains(&text.as_str());
                self.texts.iter().any(possible)
                    || self.conditions.iter().any(|condition| condition.may_take_start(with))
            }
        }
    }
}

#[cfg(test)]
mod tests;
