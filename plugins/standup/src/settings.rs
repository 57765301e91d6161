//! The settings, checked.

use belfry_plugin::prelude::*;
use time::UtcOffset;

use crate::words::Words;

/// The most members and questions.
const MOST: usize = 100;

/// The settings of the plugin's `config`.
pub(crate) struct Settings {
    /// The group's conversation id.
    pub(crate) group: String,
    pub(crate) questions: Vec<String>,
    /// Who should answer; empty if anybody may.
    pub(crate) members: Vec<Member>,
    /// What the group's clock shows.
    pub(crate) offset: UtcOffset,
    /// How many days are kept, today among them.
    pub(crate) keep: i64,
    pub(crate) words: &'static Words,
}

/// Somebody who should answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) staff_id: String,
    /// As the summary calls them; the staff id if the config gives no name.
    pub(crate) name: String,
}

impl Settings {
    /// Reads them.
    pub(crate) fn read() -> Result<Self, Failure> {
        let words = Words::of(&config::get_or("language", "en"));
        let questions = config::get("questions");
        let questions =
            questions.as_deref().map_or_else(|| words.questions.to_vec(), |text| text.lines().collect());
        let questions: Vec<String> = questions.into_iter().filter_map(line).collect();
        let members = config::get_or("members", "");
        let members: Vec<Member> = members.split([',', '，', '\n']).filter_map(member).collect();
        if questions.is_empty() {
            return Err(Failure::permanent(
                "the setting `questions` is empty: write one question on each line",
            ));
        }
        if questions.len() > MOST || members.len() > MOST {
            return Err(Failure::Permanent(format!(
                "`questions` and `members` have at most {MOST} entries each"
            )));
        }
        let keep = config::parse::<u16>("keep_days")?.unwrap_or(14);
        if !(1..=366).contains(&keep) {
            return Err(Failure::Permanent(format!(
                "the setting `keep_days` is `{keep}`: it goes from 1 to 366"
            )));
        }
        Ok(Settings {
            group: config::require("group")?.trim().to_owned(),
            questions,
            members,
            offset: offset(config::get_or("utc_offset", "+08:00").trim())?,
            keep: i64::from(keep),
            words,
        })
    }

    /// Whether this person may answer.
    pub(crate) fn may_answer(&self, staff_id: Option<&str>) -> bool {
        self.members.is_empty()
            || self.members.iter().any(|member| Some(member.staff_id.as_str()) == staff_id)
    }
}

fn line(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// `STAFFID` or `STAFFID=NAME`.
fn member(text: &str) -> Option<Member> {
    let text = text.trim();
    let (id, name) = text.split_once('=').map_or((text, text), |(id, name)| (id.trim(), name.trim()));
    (!id.is_empty()).then(|| Member { staff_id: id.to_owned(), name: name.to_owned() })
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
        assert!(failure().contains("`group` is missing"), "{}", failure());
        set_config("group", "cidG");
        set_config("members", "liwei=Li Wei, mei，\n ,\nbob = Bob");
        set_config("questions", "\nWhat?\n\nWhy?\n");
        let settings = Settings::read().unwrap();
        assert_eq!(settings.questions, ["What?", "Why?"]);
        let names: Vec<&str> = settings.members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["Li Wei", "mei", "Bob"]);
        assert!(
            settings.may_answer(Some("bob"))
                && !settings.may_answer(Some("eve"))
                && !settings.may_answer(None)
        );
        for (key, wrong, right) in [
            ("utc_offset", "8", "-05:30"),
            ("keep_days", "0", "3"),
            ("questions", " \n", "What?"),
            ("keep_days", "x", "3"),
        ] {
            set_config(key, wrong);
            assert!(failure().contains(key), "{}", failure());
            set_config(key, right);
        }
        assert_eq!(Settings::read().unwrap().offset.whole_minutes(), -330);
    }
}
