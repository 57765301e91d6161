//! When a plugin's schedule is due.

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::{
    Cron, Direction,
    parser::{CronParser, Year},
};

/// The longest name, in bytes: it is part of keys.
const LONGEST_NAME: usize = 64;

/// What becomes of a tick that was due while nobody could take it: the host was down, the machine slept, the plugin was not
/// loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// Nothing.
    #[default]
    Skip,
    /// Of all that were missed, the last one comes as soon as it can.
    Once,
}

/// A line of cron in a time zone, with a name.
///
/// Five fields (minute, hour, day of the month, month, day of the week), or six with the second in front. Where the zone's
/// clock is put forward, a time of the day that is left out comes once, at the first moment after the gap; where it is put
/// back, a time of the day that comes twice is due the first time only. That holds for lines that name one time of the day.
/// Lines that repeat within the day (`*/10 * * * *`, `0 8,20 * * *`) go by what the clock shows: nothing in the gap, and
/// both of what comes twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    name: String,
    cron: Cron,
    zone: Tz,
    missed: Missed,
}

impl Schedule {
    /// The time zone where none is named: DingTalk's own.
    pub const DEFAULT_ZONE: &str = "Asia/Shanghai";

    /// Reads a schedule. `name` tells a plugin's schedules apart; `tz` is a name of the IANA database.
    ///
    /// # Errors
    ///
    /// What is wrong, in words with an example.
    pub fn parse(name: &str, cron: &str, tz: &str, missed: Missed) -> Result<Self, String> {
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(|c| c == '/' || c.is_control()) {
            return Err(format!(
                "a schedule's name `{}` must have 1 to {LONGEST_NAME} bytes and no `/`; call it something like `daily`",
                name.escape_debug()
            ));
        }
        let zone = zone(tz).map_err(|problem| format!("schedule `{name}`: {problem}"))?;
        let cron = read(cron).map_err(|problem| format!("schedule `{name}`: {problem}"))?;
        Ok(Self { name: name.to_owned(), cron, zone, missed })
    }

    /// What it is called: the `subject` of its ticks.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What becomes of missed ticks.
    pub fn missed(&self) -> Missed {
        self.missed
    }

    /// When it is due next after a time; both in milliseconds since 1970. None if never.
    pub fn next_after(&self, time_ms: u64) -> Option<u64> {
        self.look(time_ms, Direction::Forward)
    }

    /// When it was due last, at that time or before; both in milliseconds since 1970. None if never.
    pub fn last_before(&self, time_ms: u64) -> Option<u64> {
        self.look(time_ms, Direction::Backward)
    }

    /// A time as the schedule's zone shows it, by RFC 3339.
    pub(crate) fn show(&self, time_ms: u64) -> String {
        self.time(time_ms).map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Secs, false))
    }

    fn look(&self, time_ms: u64, direction: Direction) -> Option<u64> {
        // Whole seconds: that is how fine cron is.
        let time = self.time(time_ms / 1000 * 1000)?;
        let found = match direction {
            Direction::Forward => self.cron.find_next_occurrence(&time, false),
            Direction::Backward => self.cron.find_previous_occurrence(&time, true),
        };
        u64::try_from(found.ok()?.timestamp_millis()).ok()
    }

    fn time(&self, time_ms: u64) -> Option<DateTime<Tz>> {
        self.zone.timestamp_millis_opt(i64::try_from(time_ms).ok()?).single()
    }
}

fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let same = |zone: &&Tz| {
            let zone = zone.name();
            let town = zone.rsplit('/').next().unwrap_or(zone);
            zone.eq_ignore_ascii_case(name)
                || town.eq_ignore_ascii_case(name.rsplit('/').next().unwrap_or(name))
        };
        match TZ_VARIANTS.iter().find(same) {
            Some(zone) => format!("there is no time zone `{name}`; did you mean `{}`?", zone.name()),
            None => {
                format!("there is no time zone `{name}`; it is a name such as `{}`", Schedule::DEFAULT_ZONE)
            }
        }
    })
}

fn read(line: &str) -> Result<Cron, String> {
    const FIELDS: &str = "minute, hour, day of the month, month, day of the week: `0 9 * * 1-5` is nine o'clock from \
                          Monday to Friday; a sixth field in front is the second";
    let count = line.split_whitespace().count();
    if !line.trim_start().starts_with('@') && !(5..=6).contains(&count) {
        return Err(format!("`{line}` has {count} fields; cron has five: {FIELDS}"));
    }
    let parser = CronParser::builder().year(Year::Disallowed).build();
    let cron = parser.parse(line).map_err(|problem| {
        let problem = problem.to_string();
        // The crate's own words begin with the kind of the error.
        let problem =
            problem.split_once(": ").map_or(problem.as_str(), |(_, rest)| rest).trim_end_matches('.');
        format!("`{line}` is no line of cron ({problem}); its fields are {FIELDS}")
    })?;
    // From a time that is fixed, so that a config does not depend on the day it is read.
    let origin: DateTime<Utc> = DateTime::UNIX_EPOCH;
    match cron.find_next_occurrence(&origin, true) {
        Ok(_) => Ok(cron),
        Err(_) => Err(format!("`{line}` is never due: is there such a day?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, tz: &str) -> Schedule {
        Schedule::parse("s", cron, tz, Missed::Skip).unwrap()
    }

    fn ms(time: &str) -> u64 {
        u64::try_from(DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis()).unwrap()
    }

    /// The next times after `from`, as the zone shows them.
    fn next(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let after = |time: &u64| schedule.next_after(*time);
        std::iter::successors(after(&ms(from)), after).take(count).map(|time| schedule.show(time)).collect()
    }

    #[test]
    fn it_is_due_by_the_clock_of_its_zone() {
        let weekdays = schedule("0 9 * * 1-5", "Asia/Shanghai");
        assert_eq!(
            next(&weekdays, "2026-11-20T02:00:00Z", 2),
            ["2026-11-23T09:00:00+08:00", "2026-11-24T09:00:00+08:00"]
        );
        let seconds = schedule("*/30 * * * * *", "UTC");
        assert_eq!(
            next(&seconds, "2026-01-01T00:00:00.500Z", 2),
            ["2026-01-01T00:00:30+00:00", "2026-01-01T00:01:00+00:00"]
        );
        // The moment itself is not after itself, but it is the last one.
        let at = ms("2026-11-23T01:00:00Z");
        assert_eq!(weekdays.last_before(at), Some(at));
        assert_eq!(weekdays.last_before(at + 999), Some(at));
        assert_eq!(weekdays.last_before(at - 1), Some(ms("2026-11-20T01:00:00Z")));
    }

    #[test]
    fn a_time_of_the_day_that_is_left_out_comes_once_after_the_gap() {
        // On 2026-03-29 Paris goes from 02:00 to 03:00.
        let daily = schedule("30 2 * * *", "Europe/Paris");
        assert_eq!(
            next(&daily, "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
        );
        assert_eq!(daily.last_before(ms("2026-03-29T12:00:00Z")), Some(ms("2026-03-29T01:00:00Z")));
        let often = schedule("*/30 * * * *", "Europe/Paris");
        assert_eq!(
            next(&often, "2026-03-29T00:29:00Z", 3),
            ["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]
        );
    }

    #[test]
    fn a_time_of_the_day_that_comes_twice_is_due_once() {
        // On 2026-10-25 Paris goes from 03:00 back to 02:00.
        let daily = schedule("30 2 * * *", "Europe/Paris");
        assert_eq!(
            next(&daily, "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
        );
        assert_eq!(daily.last_before(ms("2026-10-25T12:00:00Z")), Some(ms("2026-10-25T00:30:00Z")));
        let hourly = schedule("30 * * * *", "Europe/Paris");
        assert_eq!(
            next(&hourly, "2026-10-25T00:00:00Z", 3),
            ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"]
        );
    }

    #[test]
    fn a_mistake_is_told_with_an_example() {
        let refused = |name: &str, cron: &str, tz: &str| {
            Schedule::parse(name, cron, tz, Missed::Once).expect_err("it should be refused")
        };
        let fields = "minute, hour, day of the month, month, day of the week: `0 9 * * 1-5` is nine o'clock from Monday to \
                      Friday; a sixth field in front is the second";
        assert_eq!(
            refused("daily", "0 9 * *", "UTC"),
            format!("schedule `daily`: `0 9 * *` has 4 fields; cron has five: {fields}")
        );
        let out_of_range = refused("daily", "0 25 * * *", "UTC");
        assert!(
            out_of_range.starts_with("schedule `daily`: `0 25 * * *` is no line of cron ("),
            "{out_of_range}"
        );
        assert!(out_of_range.ends_with(&format!("); its fields are {fields}")), "{out_of_range}");
        assert_eq!(
            refused("daily", "0 9 30 2 *", "UTC"),
            "schedule `daily`: `0 9 30 2 *` is never due: is there such a day?"
        );
        assert_eq!(
            refused("daily", "0 9 * * *", "Shanghai"),
            "schedule `daily`: there is no time zone `Shanghai`; did you mean `Asia/Shanghai`?"
        );
        assert_eq!(
            refused("daily", "0 9 * * *", "China"),
            "schedule `daily`: there is no time zone `China`; it is a name such as `Asia/Shanghai`"
        );
        assert!(refused("a/b", "0 9 * * *", "UTC").contains("no `/`"));
        assert!(refused("", "0 9 * * *", "UTC").contains("1 to 64 bytes"));
    }
}
