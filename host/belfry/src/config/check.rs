//! Unknown keys, wrong types and numbers out of range: the document is walked along the schema, so every such
//! mistake is reported at once and in our words instead of the reader's.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::document::{Document, KeyPath};
use super::error::Problem;
use super::schema;

/// How alike two names must be (Jaro-Winkler, 0 to 1) for one to be suggested for the other.
const ALIKE: f64 = 0.75;

/// Keys that other hosts have in the same table, and why there is none here.
const ELSEWHERE: [(&str, &str); 1] = [(
    "mention_only",
    "leave it out: DingTalk passes on what is said in a group only when the bot is mentioned",
)];

/// Everything in which `document` differs from the schema.
pub(super) fn against_schema(document: &Document<'_>) -> Vec<Problem> {
    let root = schema::value();
    let mut check = Check { document, root: &root, problems: Vec::new() };
    check.table(document.root(), &root, &KeyPath::default());
    check.problems
}

/// The name among `known` that `wrong` was probably meant to be.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong, &name.to_lowercase()), name))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

struct Check<'a> {
    document: &'a Document<'a>,
    root: &'a Value,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &'a Value, path: &KeyPath) {
        let schema = self.follow(schema);
        if let Some(choices) = choices(schema) {
            return self.choice(value.get_ref(), &choices, path);
        }
        if let Some(Value::Array(forms)) = schema.get("anyOf") {
            return self.form(value, forms, schema, path);
        }
        match (kind(schema), value.get_ref()) {
            ("object", DeValue::Table(table)) => self.table(table, schema, path),
            ("array", DeValue::Array(items)) => {
                let Some(of) = schema.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.value(item, of, &path.then(index));
                }
            }
            ("integer", DeValue::Integer(number)) => self.number(number, schema, path),
            ("string", DeValue::String(_)) | ("boolean", DeValue::Boolean(_)) => {}
            (expected, found) => {
                let what = format!("expected {}, found {}", article(expected), found_words(found));
                self.problems.push(self.document.problem(path, what, mend(schema, path, found)));
            }
        }
    }

    fn table(&mut self, table: &DeTable<'_>, schema: &'a Value, path: &KeyPath) {
        let known = schema.get("properties").and_then(Value::as_object);
        let other = schema.get("additionalProperties").filter(|other| **other != Value::Bool(false));
        if other == Some(&Value::Bool(true)) {
            // Anything goes.
            return;
        }
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let inner = path.then(name);
            match known.and_then(|known| known.get(name)).or(other) {
                Some(schema) => self.value(value, schema, &inner),
                None => {
                    let known = known.into_iter().flatten().map(|(name, _)| name.as_str());
                    self.problems.push(Problem {
                        at: Some(self.document.position(key.span().start)),
                        key: inner.to_string(),
                        what: "there is no such key".to_owned(),
                        mend: self.unknown_mend(name, known.collect()),
                    });
                }
            }
        }
    }

    /// A value that may be written in several forms, each of another kind.
    fn form(&mut self, value: &Spanned<DeValue<'_>>, forms: &'a [Value], schema: &'a Value, path: &KeyPath) {
        let forms: Vec<&Value> = forms.iter().map(|form| self.follow(form)).collect();
        match forms.iter().find(|form| kind_of(value.get_ref()) == kind(form)) {
            Some(form) => self.value(value, form, path),
            None => {
                let expected: Vec<&str> = forms.iter().map(|form| article(kind(form))).collect();
                let found = found_words(value.get_ref());
                let what = format!("expected {}, found {found}", expected.join(" or "));
                self.problems.push(self.document.problem(path, what, example(schema, path)));
            }
        }
    }

    /// Names a table that has a key of just this name, or the nearest key of this table, or all its keys.
    fn unknown_mend(&self, name: &str, known: Vec<&str>) -> String {
        if let Some((_, why)) = ELSEWHERE.iter().find(|(key, _)| *key == name) {
            return (*why).to_owned();
        }
        let tables = self.root.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (table, schema) in tables {
            let properties = self.follow(schema).get("properties");
            if properties.and_then(|properties| properties.get(name)).is_some() {
                return format!("`{name}` belongs in the table [{table}]");
            }
        }
        match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys here are {}", known.join(", ")),
        }
    }

    fn number(&mut self, number: &DeInteger<'_>, schema: &Value, path: &KeyPath) {
        let value = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64).map(i128::from);
        let least = bound("minimum").unwrap_or(i128::from(i32::MIN));
        let most = bound("maximum").unwrap_or(i128::from(i32::MAX));
        if !value.is_some_and(|value| (least..=most).contains(&value)) {
            let what = format!("expected a whole number from {least} to {most}, found {}", number.as_str());
            self.problems.push(self.document.problem(path, what, example(schema, path)));
        }
    }

    fn choice(&mut self, value: &DeValue<'_>, choices: &[&str], path: &KeyPath) {
        let found = value.as_str();
        if found.is_some_and(|found| choices.contains(&found)) {
            return;
        }
        let quoted: Vec<String> = choices.iter().map(|choice| format!("{choice:?}")).collect();
        let found_words = found.map_or_else(|| found_words(value).to_owned(), |text| format!("{text:?}"));
        let what = format!("expected one of {}, found {found_words}", quoted.join(", "));
        let mend = match found.and_then(|found| nearest(found, choices.iter().copied())) {
            Some(near) => format!("did you mean {near:?}?"),
            None => String::new(),
        };
        self.problems.push(self.document.problem(path, what, mend));
    }

    fn follow(&self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }
}

fn kind(schema: &Value) -> &str {
    schema.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The schema's word for what the file holds.
fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

/// The words of an enumeration, however the schema generator spells it.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(Value::Array(plain)) = schema.get("enum") {
        return Some(plain.iter().filter_map(Value::as_str).collect());
    }
    let Some(Value::Array(documented)) = schema.get("oneOf") else { return None };
    Some(documented.iter().filter_map(|one| one.get("const")?.as_str()).collect())
}

fn article(kind: &str) -> &'static str {
    match kind {
        "object" => "a table",
        "array" => "a list",
        "integer" => "a whole number",
        "boolean" => "true or false",
        _ => "text in quotes",
    }
}

fn found_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn mend(schema: &Value, path: &KeyPath, found: &DeValue<'_>) -> String {
    match (kind(schema), found) {
        ("object", _) => format!("write it as a table: [{path}]"),
        ("string", DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_))
            if schema.get("examples").is_none() =>
        {
            "put it in quotes".to_owned()
        }
        _ => example(schema, path),
    }
}

fn example(schema: &Value, path: &KeyPath) -> String {
    let example = schema.get("examples").and_then(|examples| examples.get(0));
    match (example, path.last_key()) {
        (Some(example), Some(key)) => format!("for example {key} = {}", Toml(example)),
        _ => String::new(),
    }
}

/// A value in TOML's notation, on one line.
struct Toml<'a>(&'a Value);

impl std::fmt::Display for Toml<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let comma = |place: usize| if place == 0 { "" } else { ", " };
        match self.0 {
            Value::Array(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    write!(f, "{}{}", comma(place), Toml(item))?;
                }
                f.write_str("]")
            }
            Value::Object(pairs) => {
                f.write_str("{ ")?;
                for (place, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key} = {}", comma(place), Toml(value))?;
                }
                f.write_str(" }")
            }
            other => write!(f, "{other}"),
        }
    }
}
