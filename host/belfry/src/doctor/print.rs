//! The report for people: a column each for level, check and sentence, a heading for each app.

use std::fmt::{self, Write as _};

use super::finding::{Check, Finding, Level, Report};

/// Sentences begin in this column, and what to do about them is indented to it.
const SENTENCE: usize = 25;
/// Longer sentences are broken at a space.
const WIDTH: usize = 110;

impl Report {
    /// The report for people, with a final newline.
    #[must_use]
    pub fn to_text(&self, colours: bool) -> String {
        let mut text = String::new();
        let mut heading = None;
        for finding in &self.findings {
            let section = Section::of(finding);
            if heading.as_ref() != Some(&section) {
                let gap = if heading.is_some() { "\n" } else { "" };
                let _ = writeln!(text, "{gap}{}", paint(&section.to_string(), "1", colours));
                heading = Some(section);
            }
            write_finding(&mut text, finding, colours);
        }
        let _ = writeln!(text, "\n{}", self.verdict());
        text
    }

    fn verdict(&self) -> String {
        let plural =
            |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        match (self.count(Level::Error), self.count(Level::Warning)) {
            (0, 0) => "no problem found".to_owned(),
            (0, warnings) => plural(warnings, "warning"),
            (errors, 0) => plural(errors, "error"),
            (errors, warnings) => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Section {
    Config,
    Network,
    App(String),
    Journal,
    Plugins,
}

impl Section {
    fn of(finding: &Finding) -> Self {
        if let Some(app) = &finding.app {
            return Self::App(app.clone());
        }
        match finding.id {
            Check::Certificates | Check::Proxy | Check::Dns | Check::Connection => Self::Network,
            Check::Journal => Self::Journal,
            Check::PluginFolder | Check::Plugin => Self::Plugins,
            _ => Self::Config,
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str("config"),
            Self::Network => f.write_str("network"),
            Self::App(name) => write!(f, "app {name}"),
            Self::Journal => f.write_str("journal"),
            Self::Plugins => f.write_str("plugins"),
        }
    }
}

fn write_finding(text: &mut String, finding: &Finding, colours: bool) {
    let (word, colour) = match finding.level {
        Level::Ok => ("ok     ", "32"),
        Level::Warning => ("warning", "33"),
        Level::Error => ("error  ", "31"),
    };
    let _ = write!(text, "  {} {:<14} ", paint(word, colour, colours), finding.id.name());
    let mut lines = wrap(&finding.what);
    lines.extend(wrap(&finding.mend).into_iter().enumerate().map(|(place, line)| match place {
        0 => format!("→ {line}"),
        _ => format!("  {line}"),
    }));
    for (place, line) in lines.iter().enumerate() {
        let indent = if place == 0 || line.is_empty() { 0 } else { SENTENCE };
        let _ = writeln!(text, "{:indent$}{line}", "");
    }
}

fn paint(text: &str, colour: &str, colours: bool) -> String {
    if colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Breaks at spaces. What was found may quote a server or a guest: control characters are shown, not sent to the
/// terminal.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let clean: String = paragraph
            .chars()
            .flat_map(|c| {
                if c.is_control() { c.escape_default().collect::<String>() } else { c.to_string() }
                    .chars()
                    .collect::<Vec<_>>()
            })
            .collect();
        let indent: String = clean.chars().take_while(|c| *c == ' ').collect();
        let mut line = String::new();
        for word in clean.split(' ') {
            let length = line.chars().count() + 1 + word.chars().count();
            if length > WIDTH - SENTENCE && !line.trim().is_empty() {
                lines.push(std::mem::replace(&mut line, indent.clone()));
            } else if !line.is_empty() || word.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}
