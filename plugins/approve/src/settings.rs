//! The settings, checked.

use belfry_plugin::prelude::*;
use time::UtcOffset;

use crate::words::Words;

/// The most approvers of one request: each gets a card.
pub(crate) const MOST_APPROVERS: usize = 10;

/// The settings of the plugin's `config`.
pub(crate) struct Settings {
    /// The template of the cards.
    pub(crate) template: String,
    /// Who approves what no kind of its own says.
    approvers: Vec<Person>,
    /// Everybody named anywhere in the settings.
    people: Vec<Person>,
    /// Whether anybody who is mentioned may approve.
    anybody: bool,
    /// For how many days requests are kept.
    pub(crate) keep_days: u64,
    /// What clocks show.
    pub(crate) offset: UtcOffset,
    pub(crate) words: &'static Words,
}

/// Somebody who may approve.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    staff_id: String,
    name: Option<String>,
}

/// Why nobody can be asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// Only the one who asks could approve.
    OnlyYou,
    /// Somebody who was mentioned is no approver.
    NotAnApprover,
    /// Somebody must be mentioned.
    MentionSomebody,
    TooMany,
}

impl Settings {
    /// Reads them.
    pub(crate) fn read() -> Result<Self, Failure> {
        let approvers = config::get_or("approvers", "");
        let anybody = approvers.split([',', '，', '\n']).any(|id| id.trim() == "*");
        let approvers = people(&approvers);
        let kinds = config::all().into_iter().filter(|(key, _)| key.starts_with(KIND));
        let people: Vec<Person> =
            approvers.iter().cloned().chain(kinds.flat_map(|(_, list)| people(&list))).collect();
        if people.is_empty() && !anybody {
            return Err(Failure::permanent(
                "the setting `approvers` is missing: add `config = { approvers = \"STAFFID=NAME\" }` to the plugin's table, \
                 or `\"*\"` for everybody who is mentioned",
            ));
        }
        let keep_days = config::parse::<u16>("keep_days")?.unwrap_or(90);
        if !(1..=3_650).contains(&keep_days) {
            return Err(Failure::Permanent(format!(
                "the setting `keep_days` is `{keep_days}`: it goes from 1 to 3650"
            )));
        }
        Ok(Settings {
            template: config::require("template")?.trim().to_owned(),
            approvers,
            people,
            anybody,
            keep_days: u64::from(keep_days),
            offset: offset(config::get_or("utc_offset", "+08:00").trim())?,
            words: Words::of(&config::get_or("language", "en")),
        })
    }

    /// Who is to approve a request with this title: those who are mentioned if any, or else those of its kind, and never the
    /// one who asks.
    pub(crate) fn approvers_of(
        &self,
        title: &str,
        mentioned: &[&str],
        asks: &str,
    ) -> Result<Vec<String>, Nobody> {
        let kind = config::get(&format!("{KIND}{}", title.trim().to_lowercase()));
        let kind = kind.map(|list| people(&list)).filter(|list| !list.is_empty());
        let list = kind.as_ref().unwrap_or(&self.approvers);
        let mut ids: Vec<String> = match mentioned {
            [] => list.iter().map(|person| person.staff_id.clone()).collect(),
            mentioned => {
                let may = |id: &str| {
                    (self.anybody && kind.is_none()) || list.iter().any(|person| person.staff_id == id)
                };
                if !mentioned.iter().all(|id| may(id)) {
                    return Err(Nobody::NotAnApprover);
                }
                mentioned.iter().map(|id| (*id).to_owned()).collect()
            }
        };
        if ids.is_empty() {
            return Err(Nobody::MentionSomebody);
        }
        ids.retain(|id| id != asks);
        ids.sort();
        ids.dedup();
        match ids.len() {
            0 => Err(Nobody::OnlyYou),
            1..=MOST_APPROVERS => Ok(ids),
            _ => Err(Nobody::TooMany),
        }
    }

    /// The name the config gives somebody, or else the staff id.
    pub(crate) fn name_of(&self, staff_id: &str) -> String {
        let named = self.people.iter().find(|person| person.staff_id == staff_id && person.name.is_some());
        named.and_then(|person| person.name.clone()).unwrap_or_else(|| staff_id.to_owned())
    }

    /// A time in milliseconds since 1970, as people read it.
    pub(crate) fn show_time(&self, time_ms: u64) -> String {
        let seconds = i64::try_from(time_ms / 1000).unwrap_or_default();
        let time =
            time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let time = time.checked_to_offset(self.offset).unwrap_or(time);
        let (year, month, day) = time.to_calendar_date();
        format!("{year:04}-{:02}-{day:02} {:02}:{:02}", u8::from(month), time.hour(), time.minute())
    }
}

/// Before the title in the settings of one kind of request.
const KIND: &str = "approvers.";

/// `STAFFID` or `STAFFID=NAME`, separated by commas or line breaks.
fn people(list: &str) -> Vec<Person> {
    let person = |text: &str| {
        let (id, name) = match text.split_once('=') {
            Some((id, name)) => (id.trim(), Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
            None => (text.trim(), None),
        };
        (!id.is_empty() && id != "*").then(|| Person { staff_id: id.to_owned(), name })
    };
    list.split([',', '，', '\n']).filter_map(person).collect()
}

/// From `+08:00`.
fn offset(text: &str) -> Result<UtcOffset, Failure> {
    let read = || {
        let (sign, rest) = text.split_at_checked(1)?;
        let (hours, minutes) = rest.split_once(':')?;
        let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
        let seconds = i32::from(hours) * 3_600 + i32::from(minutes) * 60;
        match sign {
            "+" if minutes < 60 => UtcOffset::from_whole_seconds(seconds).ok(),
            "-" if minutes < 60 => UtcOffset::from_whole_seconds(-seconds).ok(),
            _ => None,
        }
    };
    read().ok_or_else(|| {
        let words = "write hours and minutes such as `+08:00` or `-05:30`";
        Failure::Permanent(format!("the setting `utc_offset` is `{text}`, which is not right: {words}"))
    })
}

#[cfg(test)]
mod tests {
    use belfry_plugin::testing::set_config;

    use super::*;

    #[test]
    fn settings_are_read_and_wrong_ones_told() {
        let failure =
            || Settings::read().err().map(|failure| failure.reason().to_owned()).unwrap_or_default();
        assert!(failure().contains("`approvers` is missing"), "{}", failure());
        set_config("approvers", "mei=Mei, bob");
        assert!(failure().contains("`template` is missing"), "{}", failure());
        set_config("template", "t.schema");
        for (key, wrong, right) in [("utc_offset", "8", "-05:30"), ("keep_days", "0", "3")] {
            set_config(key, wrong);
            assert!(failure().contains(key), "{}", failure());
            set_config(key, right);
        }
        assert_eq!(Settings::read().unwrap().show_time(1_767_225_600_000), "2025-12-31 18:30");
    }

    #[test]
    fn who_approves_what() {
        set_config("approvers", "mei=Mei, bob");
        set_config("approvers.leave", "ann");
        set_config("template", "t.schema");
        let settings = Settings::read().unwrap();
        let of = |title, mentioned: &[&str]| settings.approvers_of(title, mentioned, "bob");
        assert_eq!(of("Money", &[]), Ok(vec!["mei".to_owned()]));
        assert_eq!(of("Leave", &[]), Ok(vec!["ann".to_owned()]));
        assert_eq!(of("Money", &["mei", "bob"]), Ok(vec!["mei".to_owned()]));
        assert_eq!(of("Money", &["bob"]), Err(Nobody::OnlyYou));
        assert_eq!(of("Money", &["ann"]), Err(Nobody::NotAnApprover));
        assert_eq!((settings.name_of("mei"), settings.name_of("ann")), ("Mei".into(), "ann".into()));
        set_config("approvers", "*");
        let settings = Settings::read().unwrap();
        assert_eq!(settings.approvers_of("Money", &[], "bob"), Err(Nobody::MentionSomebody));
        assert_eq!(settings.approvers_of("Money", &["zoe"], "bob"), Ok(vec!["zoe".to_owned()]));
        assert_eq!(settings.approvers_of("leave", &["zoe"], "bob"), Err(Nobody::NotAnApprover));
        let many: Vec<String> = (0..11).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(settings.approvers_of("Money", &many, "bob"), Err(Nobody::TooMany));
    }
}
