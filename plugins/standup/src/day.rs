//! Days, as the group's clock shows them.

use time::{Date, Month, OffsetDateTime, UtcOffset};

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(Date);

impl Day {
    /// The day at a time in milliseconds since 1970, where clocks show `offset`.
    pub(crate) fn at(time_ms: u64, offset: UtcOffset) -> Self {
        let seconds = i64::try_from(time_ms / 1000).unwrap_or(i64::MAX);
        let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Day(time.checked_to_offset(offset).unwrap_or(time).date())
    }

    /// From `2026-11-20`; none if it is no day.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
        Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok().map(Day)
    }

    /// As `2026-11-20`.
    pub(crate) fn show(self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        format!("{year:04}-{:02}-{day:02}", u8::from(month))
    }

    /// How many days it is behind another.
    pub(crate) fn before(self, other: Self) -> i64 {
        i64::from(other.0.to_julian_day()) - i64::from(self.0.to_julian_day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_begins_at_local_midnight() {
        // 2026-01-01, 00:00 UTC.
        let new_year = 1_767_225_600_000;
        assert_eq!(Day::at(new_year, UtcOffset::UTC).show(), "2026-01-01");
        assert_eq!(Day::at(new_year, UtcOffset::from_hms(-5, 0, 0).unwrap()).show(), "2025-12-31");
        let china = UtcOffset::from_hms(8, 0, 0).unwrap();
        assert_eq!(Day::at(new_year + 16 * 3_600_000, china).show(), "2026-01-02");
        assert_eq!(Day::at(u64::MAX, china).show(), "1970-01-01");
    }

    #[test]
    fn days_are_read_as_they_are_shown() {
        let (last, first) = (Day::read("2024-02-29").unwrap(), Day::read("2024-03-01").unwrap());
        assert_eq!((last.show().as_str(), last.before(first), first.before(last)), ("2024-02-29", 1, -1));
        assert_eq!(Day::read("2026-02-29"), None);
        assert_eq!(Day::read("today"), None);
    }
}
