//! What calls a plugin besides messages: patterns over events, and the clock.

use std::collections::BTreeSet;

use belfry_event::{Pattern, PatternError};
use belfry_pipeline::{Missed, Schedule};
use serde_json::Value;

use super::Resolver;
use crate::config::document::KeyPath;
use crate::config::file::{MissedTicks, ScheduleTable};

impl Resolver<'_> {
    pub(super) fn pattern(&mut self, at: &KeyPath, table: toml::Table) -> Option<Pattern> {
        let json = self.json(at, toml::Value::Table(table))?;
        Pattern::parse(&json)
            .map_err(|PatternError { path, problem }| self.problem(&within(at, &path), problem, ""))
            .ok()
    }

    /// The value as JSON, which has no dates and no numbers that are none.
    fn json(&mut self, at: &KeyPath, value: toml::Value) -> Option<Value> {
        Some(match value {
            toml::Value::String(text) => Value::from(text),
            toml::Value::Integer(number) => Value::from(number),
            toml::Value::Boolean(truth) => Value::from(truth),
            toml::Value::Float(number) => {
                let number = serde_json::Number::from_f64(number);
                if number.is_none() {
                    self.problem(at, "no event holds such a number", "");
                }
                Value::Number(number?)
            }
            toml::Value::Datetime(_) => {
                self.problem(at, "events hold dates as text", "put it in quotes");
                return None;
            }
            toml::Value::Array(items) => {
                let items = items.into_iter().enumerate();
                items.map(|(place, item)| self.json(&at.then(place), item)).collect::<Option<_>>()?
            }
            toml::Value::Table(table) => {
                let pairs = table.into_iter().map(|(key, value)| {
                    let value = self.json(&at.then(key.as_str()), value)?;
                    Some((key, value))
                });
                Value::Object(pairs.collect::<Option<_>>()?)
            }
        })
    }

    pub(super) fn schedules(&mut self, plugin: &KeyPath, tables: &[ScheduleTable]) -> Vec<Schedule> {
        let mut names = BTreeSet::new();
        let mut schedules = Vec::new();
        for (place, table) in tables.iter().enumerate() {
            let at = plugin.then("schedule").then(place);
            let Some(name) = &table.name else {
                self.problem(&at.then("name"), "the name is missing", "for example name = \"daily\"");
                continue;
            };
            self.name(&at.then("name"), name);
            if !names.insert(name) {
                self.problem(&at.then("name"), format!("two schedules are named `{name}`"), "rename one");
            }
            let Some(cron) = &table.cron else {
                self.problem(&at.then("cron"), "the time is missing", "for example cron = \"0 9 * * 1-5\"");
                continue;
            };
            let zone = table.tz.as_deref().unwrap_or(Schedule::DEFAULT_ZONE);
            let missed = match table.missed {
                MissedTicks::Skip => Missed::Skip,
                MissedTicks::Once => Missed::Once,
            };
            match Schedule::parse(name, cron, zone, missed) {
                Ok(schedule) => schedules.push(schedule),
                Err(problem) => self.problem(&at.then("cron"), problem, ""),
            }
        }
        schedules
    }
}

/// The place that a pattern's error names, such as `data.state[0]`, in the config.
fn within(at: &KeyPath, path: &str) -> KeyPath {
    path.split(['.', '[']).filter(|step| !step.is_empty()).fold(at.clone(), |at, step| {
        match step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok()) {
            Some(index) => at.then(index),
            None => at.then(step),
        }
    })
}
