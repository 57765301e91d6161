//! From JSON to a compiled pattern.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Number, Value};

use super::{
    Entries, Member, Node, Pattern,
    condition::{Comparison, Condition, Text, Unwanted, compare},
};

/// Objects within objects.
const MAX_DEPTH: usize = 16;

/// Entries of all arrays together, those of `anything-but` included.
const MAX_ENTRIES: usize = 1_000;

/// Entries of one array that are no plain texts: each is tried on every value.
const MAX_CONDITIONS: usize = 100;

/// Bytes of all texts together.
const MAX_TEXT: usize = 64 << 10;

/// The member that asks for one of several patterns.
const OR: &str = "$or";

const OPERATORS: &str = "prefix, suffix, contains, anything-but, numeric, cidr, exists, equals-ignore-case";

/// Why something is no pattern: where, what, and how to mend it. Displays as a fragment that fits after "failed to read
/// the pattern: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if path.is_empty() { String::new() } else { format!("at `{path}`: ") })]
pub struct PatternError {
    /// Where it is, from the pattern's root, such as `data.state[0]`; empty at the root.
    pub path: String,
    /// What is wrong there and how to mend it.
    pub problem: String,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong where. Patterns are bounded: 16 levels, 1 000 entries, 100 operators in one array, 64 KiB of text.
    pub fn parse(pattern: &Value) -> Result<Self, PatternError> {
        let mut parser = Parser::default();
        let root = parser.object(pattern, "", 0, true)?;
        Ok(Self { root, extensions: parser.extensions })
    }
}

/// What has been used of the bounds.
#[derive(Default)]
struct Parser {
    entries: usize,
    text: usize,
    extensions: Vec<&'static str>,
}

type Parsed<T> = Result<T, PatternError>;

impl Parser {
    /// `root`: its members are the attributes of the event.
    fn object(&mut self, value: &Value, path: &str, depth: usize, root: bool) -> Parsed<Node> {
        let Value::Object(object) = value else {
            let example = r#"{"type": ["dingtalk.user_add_org"]}"#;
            return Err(error(
                path,
                format!("it is {}; a pattern is an object such as {example}", kind(value)),
            ));
        };
        if object.is_empty() {
            return Err(error(
                path,
                "it is empty, which says nothing; name a member, or leave it out".into(),
            ));
        }
        if depth >= MAX_DEPTH {
            return Err(error(path, format!("it is nested deeper than {MAX_DEPTH} levels")));
        }
        let mut node = Node::default();
        for (name, value) in object {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if name == OR {
                node.alternatives.push(self.alternatives(value, &path, depth, root)?);
                continue;
            }
            self.count_text(name, &path)?;
            if root {
                check_attribute(name, value, &path)?;
            }
            let member = self.member(value, &path, depth)?;
            node.members.push((name.clone(), member));
        }
        Ok(node)
    }

    fn alternatives(&mut self, value: &Value, path: &str, depth: usize, root: bool) -> Parsed<Vec<Node>> {
        self.uses(OR);
        let patterns = match value {
            Value::Array(patterns) if patterns.len() >= 2 => patterns,
            _ => {
                let problem = r#"it takes two or more patterns: [{"type": ["a"]}, {"subject": ["b"]}]"#;
                return Err(error(path, problem.into()));
            }
        };
        let mut alternatives = Vec::with_capacity(patterns.len());
        for (index, pattern) in patterns.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.count(&path)?;
            alternatives.push(self.object(pattern, &path, depth + 1, root)?);
        }
        Ok(alternatives)
    }

    fn member(&mut self, value: &Value, path: &str, depth: usize) -> Parsed<Member> {
        match value {
            Value::Array(list) => Ok(Member::Values(self.entries(list, path)?)),
            Value::Object(object) if is_operator(object) => {
                let problem = format!("an operator stands in an array: [{value}]");
                Err(error(path, problem))
            }
            Value::Object(_) => Ok(Member::Object(self.object(value, path, depth + 1, false)?)),
            value => Err(error(path, format!("values stand in an array: [{value}]"))),
        }
    }

    fn entries(&mut self, list: &[Value], path: &str) -> Parsed<Entries> {
        if list.is_empty() {
            return Err(error(
                path,
                r#"no value is in an empty array; for any write [{"exists": true}]"#.into(),
            ));
        }
        let mut entries = Entries::default();
        for (index, value) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.count(&path)?;
            let condition = match value {
                Value::String(text) => {
                    self.count_text(text, &path)?;
                    entries.texts.insert(text.clone());
                    continue;
                }
                Value::Null => Condition::Null,
                Value::Bool(truth) => Condition::Truth(*truth),
                Value::Number(number) => Condition::Number(number.clone()),
                Value::Object(object) => self.operator(object, &path)?,
                Value::Array(_) => {
                    return Err(error(
                        &path,
                        "an array in an array; write its values into the outer one".into(),
                    ));
                }
            };
            entries.conditions.push(condition);
            if entries.conditions.len() > MAX_CONDITIONS {
                let problem =
                    format!("an array takes {MAX_CONDITIONS} operators and numbers; texts do not count");
                return Err(error(&path, problem));
            }
        }
        Ok(entries)
    }

    fn operator(&mut self, object: &Map<String, Value>, path: &str) -> Parsed<Condition> {
        let mut members = object.iter();
        let (Some((operator, operand)), None) = (members.next(), members.next()) else {
            let problem = "an operator is an object with one member; for either of two write [{…}, {…}]";
            return Err(error(path, problem.into()));
        };
        let at = format!("{path}.{operator}");
        match operator.as_str() {
            "anything-but" => self.anything_but(operand, &at),
            "numeric" => numeric(operand, &at),
            "cidr" => cidr(operand, &at),
            "exists" => match operand {
                Value::Bool(wanted) => Ok(Condition::Exists(*wanted)),
                _ => Err(error(&at, "it takes true or false".into())),
            },
            _ => match self.text(operator, operand, &at)? {
                Some(text) => Ok(Condition::Text(text)),
                None => Err(error(path, unknown(operator))),
            },
        }
    }

    /// One of the operators on texts; none if there is no such.
    fn text(&mut self, operator: &str, operand: &Value, path: &str) -> Parsed<Option<Text>> {
        let make: fn(String) -> Text = match operator {
            "prefix" => Text::Prefix,
            "suffix" => Text::Suffix,
            "contains" => Text::Contains,
            "equals-ignore-case" => |text| Text::IgnoringCase(text.to_lowercase()),
            _ => return Ok(None),
        };
        let Value::String(text) = operand else {
            return Err(error(path, format!("it takes a text, such as \"todo.\", not {}", kind(operand))));
        };
        if operator == "equals-ignore-case" {
            self.uses("equals-ignore-case");
        } else if text.is_empty() {
            return Err(error(path, r#"every text has the empty one; write {"exists": true}"#.into()));
        }
        self.count_text(text, path)?;
        Ok(Some(make(text.clone())))
    }

    fn anything_but(&mut self, operand: &Value, path: &str) -> Parsed<Condition> {
        let unwanted = match operand {
            Value::Object(object) => {
                let mut members = object.iter();
                let text = match (members.next(), members.next()) {
                    (Some((operator, operand)), None) => {
                        self.text(operator, operand, &format!("{path}.{operator}"))?
                    }
                    _ => None,
                };
                let problem = r#"it takes a value, an array of values, or one of {"prefix": …}, {"suffix": …}, {"contains": …}"#;
                return text.map(Condition::NotText).ok_or_else(|| error(path, problem.into()));
            }
            Value::Array(list) if list.is_empty() => {
                return Err(error(path, r#"an empty array; for any value write {"exists": true}"#.into()));
            }
            Value::Array(list) => list.as_slice(),
            value => std::slice::from_ref(value),
        };
        let mut values = Unwanted::default();
        for value in unwanted {
            self.count(path)?;
            match value {
                Value::String(text) => {
                    self.count_text(text, path)?;
                    values.texts.insert(text.clone());
                }
                Value::Array(_) | Value::Object(_) => {
                    return Err(error(path, "its array holds plain values only".into()));
                }
                value => values.others.push(value.clone()),
            }
        }
        if values.others.len() > MAX_CONDITIONS {
            return Err(error(path, format!("it takes {MAX_CONDITIONS} numbers; texts do not count")));
        }
        Ok(Condition::NoneOf(values))
    }

    fn count(&mut self, path: &str) -> Parsed<()> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(error(path, format!("the pattern has more than {MAX_ENTRIES} entries")));
        }
        Ok(())
    }

    fn count_text(&mut self, text: &str, path: &str) -> Parsed<()> {
        self.text = self.text.saturating_add(text.len());
        if self.text > MAX_TEXT {
            return Err(error(path, format!("the pattern has more than {} KiB of text", MAX_TEXT >> 10)));
        }
        Ok(())
    }

    fn uses(&mut self, extension: &'static str) {
        if !self.extensions.contains(&extension) {
            self.extensions.push(extension);
        }
    }
}

/// A member at the root is an attribute of the event.
fn check_attribute(name: &str, value: &Value, path: &str) -> Parsed<()> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        let problem = "no attribute of an event has such a name (lower-case letters and digits); what the event carries \
                       stands in `data`";
        return Err(error(path, problem.into()));
    }
    match value {
        Value::Object(object) if name != "data" && !is_operator(object) => {
            let problem =
                format!("only `data` has members; a pattern for it is {{\"data\": {{\"{name}\": …}}}}");
            Err(error(path, problem))
        }
        _ => Ok(()),
    }
}

/// Whether somebody forgot the array around an operator.
fn is_operator(object: &Map<String, Value>) -> bool {
    let operand = |value: &Value| !matches!(value, Value::Object(_));
    let mut members = object.iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) => match name.as_str() {
            // An array is an operand of these two, but may be a pattern for a member of that name as well.
            "numeric" | "anything-but" => operand(value) && !value.is_array(),
            _ => OPERATORS.split(", ").any(|known| known == name) && operand(value) && !value.is_array(),
        },
        _ => false,
    }
}

fn unknown(operator: &str) -> String {
    let hint = match operator {
        "wildcard" => "; for `*x*` write contains",
        "equals" => "; for a plain value write just the value",
        "not" | "anything_but" | "not-equals" => "; write anything-but",
        _ => "",
    };
    format!("there is no operator `{operator}`; there are {OPERATORS}{hint}")
}

fn numeric(operand: &Value, path: &str) -> Parsed<Condition> {
    let wrong = || {
        let problem =
            r#"it takes a comparison and a number, such as [">=", 5], or two for a range: [">", 0, "<=", 5]"#;
        error(path, problem.into())
    };
    let parts = operand.as_array().filter(|parts| matches!(parts.len(), 2 | 4)).ok_or_else(wrong)?;
    let mut bounds: Vec<(Comparison, Number)> = Vec::new();
    for pair in parts.chunks(2) {
        let [Value::String(sign), Value::Number(number)] = pair else { return Err(wrong()) };
        let comparison = Comparison::ALL.iter().find(|(known, _)| known == sign).ok_or_else(|| {
            error(path, format!("there is no comparison `{sign}`; there are =, !=, <, <=, > and >="))
        })?;
        bounds.push((comparison.1, number.clone()));
    }
    if let [(first, low), (second, high)] = bounds.as_slice() {
        let (low, high) = match (first.is_lower_bound(), second.is_lower_bound()) {
            (Some(true), Some(false)) => (low, high),
            (Some(false), Some(true)) => (high, low),
            _ => {
                return Err(error(
                    path,
                    r#"a range has a lower and an upper bound: [">", 0, "<=", 5]"#.into(),
                ));
            }
        };
        let exclusive = [first, second].iter().any(|c| matches!(c, Comparison::Less | Comparison::Greater));
        let order = compare(low, high);
        if order.is_none_or(|order| order.is_gt() || (order.is_eq() && exclusive)) {
            return Err(error(path, format!("no number is in this range: {low} to {high}")));
        }
    }
    Ok(Condition::Numeric(bounds))
}

fn cidr(operand: &Value, path: &str) -> Parsed<Condition> {
    let net = operand.as_str().and_then(|text| {
        text.parse()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical())))
    });
    net.map(Condition::Cidr).ok_or_else(|| {
        error(
            path,
            format!("{operand} is no address range; it takes one such as \"10.0.0.0/24\" or \"fd00::/8\""),
        )
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn error(path: &str, problem: String) -> PatternError {
    PatternError { path: path.to_owned(), problem }
}
