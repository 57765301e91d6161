//! What one value must be.

use std::{cmp::Ordering, collections::HashSet, fmt, net::IpAddr};

use ipnet::IpNet;
use serde_json::{Number, Value};

/// An entry of an array that is not a plain text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    Null,
    Truth(bool),
    Number(Number),
    Text(Text),
    /// Not one of these.
    NoneOf(Unwanted),
    NotText(Text),
    /// All of these.
    Numeric(Vec<(Comparison, Number)>),
    Cidr(IpNet),
    Exists(bool),
}

/// What a text must be like.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    Prefix(String),
    Suffix(String),
    Contains(String),
    /// In lower case.
    IgnoringCase(String),
}

/// What a value must not be.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Unwanted {
    pub(super) texts: HashSet<String>,
    /// Null, truth values and numbers.
    pub(super) others: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// Whether it is fulfilled by a member that is there, or is not, whatever its value.
    pub(super) fn takes_presence(&self, present: bool) -> bool {
        matches!(self, Condition::Exists(wanted) if *wanted == present)
    }

    /// Whether it takes a value that is there and is no array.
    pub(super) fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Condition::Null, value) => value.is_null(),
            (Condition::Truth(wanted), Value::Bool(truth)) => wanted == truth,
            (Condition::Number(wanted), Value::Number(number)) => {
                compare(number, wanted) == Some(Ordering::Equal)
            }
            (Condition::Text(wanted), Value::String(text)) => wanted.takes(text),
            (Condition::NotText(unwanted), value) => !value.as_str().is_some_and(|text| unwanted.takes(text)),
            (Condition::NoneOf(unwanted), value) => !unwanted.has(value),
            (Condition::Numeric(bounds), Value::Number(number)) => {
                bounds.iter().all(|(comparison, bound)| comparison.holds(number, bound))
            }
            (Condition::Cidr(net), Value::String(text)) => {
                text.parse().is_ok_and(|address: IpAddr| net.contains(&address.to_canonical()))
            }
            _ => false,
        }
    }

    /// Whether it may take a text that begins like this.
    pub(super) fn may_take_start(&self, start: &str) -> bool {
        match self {
            Condition::Text(Text::Prefix(prefix)) => {
                prefix.starts_with(start) || start.starts_with(prefix.as_str())
            }
            Condition::Text(Text::IgnoringCase(text)) => text.starts_with(&start.to_lowercase()),
            Condition::NotText(Text::Prefix(prefix)) => !start.starts_with(prefix.as_str()),
            Condition::Text(_) | Condition::NotText(_) | Condition::NoneOf(_) => true,
            Condition::Exists(wanted) => *wanted,
            Condition::Null
            | Condition::Truth(_)
            | Condition::Number(_)
            | Condition::Numeric(_)
            | Condition::Cidr(_) => false,
        }
    }
}

impl Text {
    fn takes(&self, text: &str) -> bool {
        match self {
            Text::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Text::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Text::Contains(part) => text.contains(part.as_str()),
            Text::IgnoringCase(lower) => text.chars().flat_map(char::to_lowercase).eq(lower.chars()),
        }
    }

    /// The operator and its operand.
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Text::Prefix(text) => ("prefix", text),
            Text::Suffix(text) => ("suffix", text),
            Text::Contains(text) => ("contains", text),
            Text::IgnoringCase(text) => ("equals-ignore-case", text),
        }
    }
}

impl Unwanted {
    fn has(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.texts.contains(text),
            value => self.others.iter().any(|other| is_same(other, value)),
        }
    }
}

impl Comparison {
    pub(super) const ALL: [(&'static str, Comparison); 6] = [
        ("=", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<", Comparison::Less),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        (">=", Comparison::GreaterOrEqual),
    ];

    fn holds(self, number: &Number, bound: &Number) -> bool {
        let Some(order) = compare(number, bound) else { return false };
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }

    /// Whether it bounds a number from below (`Some(true)`), from above, or fixes it.
    pub(super) fn is_lower_bound(self) -> Option<bool> {
        match self {
            Comparison::Greater | Comparison::GreaterOrEqual => Some(true),
            Comparison::Less | Comparison::LessOrEqual => Some(false),
            Comparison::Equal | Comparison::NotEqual => None,
        }
    }

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparison)| *comparison == self).map_or("", |(sign, _)| sign)
    }
}

/// Compares by value. Whole numbers are compared exactly, others as far as 64-bit floating point goes.
pub(super) fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Some(Ordering::Equal),
        (a, b) => a == b,
    }
}

/// As it stands in a pattern.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Null => f.write_str("null"),
            Condition::Truth(truth) => write!(f, "{truth}"),
            Condition::Number(number) => write!(f, "{number}"),
            Condition::Text(text) => write!(f, "{text}"),
            Condition::NotText(text) => write!(f, r#"{{"anything-but": {text}}}"#),
            Condition::NoneOf(unwanted) => {
                let mut texts: Vec<&String> = unwanted.texts.iter().collect();
                texts.sort();
                let texts = texts.into_iter().map(|text| Value::String(text.clone()));
                let all = Value::Array(texts.chain(unwanted.others.iter().cloned()).collect());
                write!(f, r#"{{"anything-but": {all}}}"#)
            }
            Condition::Numeric(bounds) => {
                f.write_str(r#"{"numeric": ["#)?;
                for (index, (comparison, bound)) in bounds.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, r#"{comma}"{}", {bound}"#, comparison.sign())?;
                }
                f.write_str("]}")
            }
            Condition::Cidr(net) => write!(f, r#"{{"cidr": "{net}"}}"#),
            Condition::Exists(wanted) => write!(f, r#"{{"exists": {wanted}}}"#),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operator, operand) = self.parts();
        write!(f, r#"{{"{operator}": {}}}"#, Value::String(operand.to_owned()))
    }
}
