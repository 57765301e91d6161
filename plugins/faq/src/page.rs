//! The text with the answers: headings say when, what follows says what.

use belfry_plugin::Failure;
use regex_lite::{Regex, RegexBuilder};

/// The longest text that is looked at for an answer, in bytes: nobody asks longer questions.
const LONGEST: usize = 4_000;

/// All answers, in the order of the text.
pub(crate) struct Page {
    sections: Vec<Section>,
}

struct Section {
    /// The first of the heading's patterns, as written.
    name: String,
    patterns: Vec<Pattern>,
    answer: String,
}

enum Pattern {
    /// In lower case; contained in the message.
    Keyword(String),
    Regex(Regex),
}

impl Page {
    /// Reads a text. A line that begins with `# ` begins a section.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut sections: Vec<Section> = Vec::new();
        let mut fenced = false;
        for (number, line) in (1..).zip(text.lines()) {
            // A `#` in a code block is no heading.
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            match (line.strip_prefix("# ").filter(|_| !fenced), sections.last_mut()) {
                (Some(heading), _) => sections.push(Section::of(heading, number)?),
                (None, Some(section)) => {
                    section.answer.push_str(line);
                    section.answer.push('\n');
                }
                (None, None) if line.trim().is_empty() => {}
                (None, None) => {
                    return Err(wrong(
                        number,
                        "an answer needs a heading above it, such as `# VPN | remote access`",
                    ));
                }
            }
        }
        sections.iter_mut().for_each(|section| section.answer = section.answer.trim().to_owned());
        match sections.iter().find(|section| section.answer.is_empty()) {
            Some(empty) => {
                Err(Failure::permanent(format!("`answers`: there is nothing below `# {}`", empty.name)))
            }
            None if sections.is_empty() => {
                Err(Failure::permanent("`answers` holds no heading, such as `# VPN`"))
            }
            None => Ok(Self { sections }),
        }
    }

    /// The first answer with a pattern that fits.
    pub(crate) fn answer(&self, text: &str) -> Option<&str> {
        let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
        let text = if text.len() <= LONGEST { text } else { text.get(..end).unwrap_or_default() };
        let lower = text.to_lowercase();
        let fits = |pattern: &Pattern| match pattern {
            Pattern::Keyword(keyword) => lower.contains(keyword.as_str()),
            Pattern::Regex(regex) => regex.is_match(text),
        };
        let section = self.sections.iter().find(|section| section.patterns.iter().any(fits))?;
        Some(&section.answer)
    }

    /// A list of what there are answers for.
    pub(crate) fn overview(&self) -> String {
        let lines: Vec<String> = self.sections.iter().map(|section| format!("- {}", section.name)).collect();
        format!("I know something about:\n\n{}", lines.join("\n"))
    }
}

impl Section {
    fn of(heading: &str, line: usize) -> Result<Self, Failure> {
        let mut patterns = Vec::new();
        let mut name = String::new();
        for part in parts(heading) {
            let pattern = match part.strip_prefix('/').and_then(|part| part.strip_suffix('/')) {
                Some(expression) if !expression.is_empty() => {
                    let regex = RegexBuilder::new(expression).case_insensitive(true).build();
                    let regex = regex.map_err(|error| wrong(line, &format!("`/{expression}/`: {error}")))?;
                    name = if name.is_empty() { expression.to_owned() } else { name };
                    Pattern::Regex(regex)
                }
                _ => {
                    name = if name.is_empty() { part.to_owned() } else { name };
                    Pattern::Keyword(part.to_lowercase())
                }
            };
            patterns.push(pattern);
        }
        if patterns.is_empty() {
            return Err(wrong(
                line,
                "the heading is empty; write a keyword there, or several: `# VPN | remote access`",
            ));
        }
        Ok(Self { name, patterns, answer: String::new() })
    }
}

/// The patterns of a heading: parted by `|`, but not within `/…/`.
fn parts(heading: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = heading.trim();
    while !rest.is_empty() {
        // A regex ends at a slash with nothing or a bar behind it.
        let regex_end = rest.strip_prefix('/').and_then(|inner| {
            let ends = inner.match_indices('/').map(|(at, _)| at + 2);
            ends.into_iter().find(|end| {
                let behind = rest.get(*end..).unwrap_or_default().trim_start();
                behind.is_empty() || behind.starts_with('|')
            })
        });
        let end = regex_end.or_else(|| rest.find('|')).unwrap_or(rest.len());
        let (part, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if !part.trim().is_empty() {
            parts.push(part.trim());
        }
        rest = behind.trim_start().trim_start_matches('|').trim_start();
    }
    parts
}

fn wrong(line: usize, what: &str) -> Failure {
    Failure::permanent(format!("`answers`, line {line}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_keywords_and_regexes() {
        assert_eq!(parts("VPN | remote access"), ["VPN", "remote access"]);
        assert_eq!(parts("/a|b/ | c"), ["/a|b/", "c"]);
        assert_eq!(parts("请假|年假"), ["请假", "年假"]);
        assert_eq!(parts("/start"), ["/start"]);
        assert_eq!(parts(" | "), Vec::<&str>::new());
    }

    #[test]
    fn mistakes_have_a_line() {
        let reason =
            |text: &str| Page::parse(text).err().map(|failure| failure.to_string()).unwrap_or_default();
        assert!(reason("hello").contains("line 1: an answer needs a heading"));
        assert!(reason("# a\nb\n# /(/\nc").contains("line 3: `/(/`"), "{}", reason("# a\nb\n# /(/\nc"));
        assert!(reason("# a\n\n# b\nc").contains("nothing below `# a`"));
        assert!(reason("").contains("no heading"));
    }

    #[test]
    fn code_blocks_keep_their_hashes() {
        let page = Page::parse("# setup\n```sh\n# install\nmake\n```\n").unwrap();
        assert_eq!(page.answer("Setup?"), Some("```sh\n# install\nmake\n```"));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let page = Page::parse("# vpn\nyes").unwrap();
        assert_eq!(page.answer(&format!("{}vpn", "长".repeat(2_000))), None);
    }
}
