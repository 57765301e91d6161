//! The parsed TOML with positions: finds where a key path is, and which key path a position is in.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Position, Problem};

/// One step of a key path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A path from the document's root to a value, such as `plugins.todo.commands[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

impl KeyPath {
    pub(super) fn of(steps: &[&str]) -> Self {
        Self(steps.iter().map(|step| Step::from(*step)).collect())
    }

    pub(super) fn then(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// The key that ends the path, unless it ends in a list.
    pub(super) fn last_key(&self) -> Option<&str> {
        match self.0.last() {
            Some(Step::Key(key)) => Some(key),
            _ => None,
        }
    }
}

impl std::fmt::Display for KeyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if place > 0 {
                        f.write_char('.')?;
                    }
                    if is_bare(key) { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
            }
        }
        Ok(())
    }
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// A parsed config file.
pub(super) struct Document<'i> {
    pub(super) path: &'i Path,
    text: &'i str,
    /// Where lines begin, so that many problems in a large file are placed quickly.
    lines: Vec<usize>,
    root: DeTable<'i>,
}

impl<'i> Document<'i> {
    pub(super) fn parse(path: &'i Path, text: &'i str) -> Result<Self, ConfigError> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { path, text, lines: lines(text), root: root.into_inner() }),
            Err(error) => Err(Problem {
                at: error.span().map(|span| position(text, &lines(text), span.start)),
                key: String::new(),
                what: format!("this is not TOML: {}", error.message().replace('\n', ", ")),
                mend:
                    "text is written in quotes, tables as [name], lists as [a, b]; https://toml.io has it all"
                        .to_owned(),
            }
            .into_error(path)),
        }
    }

    pub(super) fn root(&self) -> &DeTable<'i> {
        &self.root
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        position(self.text, &self.lines, offset)
    }

    /// Where the value at `path` is, or the deepest table on the way to it that is written down.
    pub(super) fn locate(&self, path: &KeyPath) -> Option<Position> {
        let mut found: Option<Range<usize>> = None;
        let mut here: Option<&Spanned<DeValue<'i>>> = None;
        for step in &path.0 {
            let next = match (step, here.map(Spanned::get_ref)) {
                (Step::Key(key), None) => self.root.get_key_value(key.as_str()),
                (Step::Key(key), Some(DeValue::Table(table))) => table.get_key_value(key.as_str()),
                (Step::Index(index), Some(DeValue::Array(items))) => {
                    let Some(item) = items.get(*index) else { break };
                    found = Some(item.span());
                    here = Some(item);
                    continue;
                }
                _ => None,
            };
            let Some((key, value)) = next else { break };
            found = Some(if value.get_ref().is_table() { key.span() } else { value.span() });
            here = Some(value);
        }
        found.map(|span| self.position(span.start))
    }

    /// A problem with the value at `path`.
    pub(super) fn problem(
        &self,
        path: &KeyPath,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Problem {
        Problem { at: self.locate(path), key: path.to_string(), what: what.into(), mend: mend.into() }
    }

    /// An error of the typed reader, which the check along the schema did not foresee.
    pub(super) fn problem_of(&self, error: &toml::de::Error) -> Problem {
        Problem {
            at: error.span().map(|span| self.position(span.start)),
            key: String::new(),
            what: error.message().replace('\n', ", "),
            mend: "`belfry config schema` prints every key with its type".to_owned(),
        }
    }
}

fn lines(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect()
}

fn position(text: &str, lines: &[usize], offset: usize) -> Position {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line = lines.partition_point(|start| *start <= end);
    let start = line.checked_sub(1).and_then(|index| lines.get(index)).copied().unwrap_or_default();
    Position { line, column: text.get(start..end).unwrap_or_default().chars().count() + 1 }
}
