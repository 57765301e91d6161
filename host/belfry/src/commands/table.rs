//! Tables that can be read at 80 columns.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Between two columns.
const GAP: usize = 2;

/// Any but the last column is cut to so many columns of the terminal.
const WIDEST: usize = 14;

/// The last column has at least so many.
const NARROWEST: usize = 16;

/// Rows under a heading.
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned)] }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// The text; the last column ends at `width`, if there is one.
    pub(super) fn to_text(&self, width: Option<usize>) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(cell.width().min(WIDEST));
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut used = 0;
            for (place, (cell, widest)) in row.iter().zip(widths).enumerate() {
                if place + 1 == N {
                    let most = width.map_or(usize::MAX, |width| width.saturating_sub(used).max(NARROWEST));
                    text.push_str(&cut(cell, most));
                } else {
                    let cell = cut(cell, widest);
                    let pad = widest.saturating_sub(cell.width()) + GAP;
                    let _ = write!(text, "{cell}{:pad$}", "");
                    used += widest + GAP;
                }
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

/// The columns of the terminal that standard output goes to. What goes elsewhere is not cut.
pub(super) fn terminal_width() -> Option<usize> {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&out).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// As much of `text` as fits into so many columns of a terminal.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn only_the_last_column_is_long() {
        let mut table = Table::new(["ID", "FROM", "MESSAGE"]);
        table.row(["17".into(), "王小明".into(), "今天的报表在哪里？".into()]);
        table.row(["9".into(), "somebody with a name".into(), "x".repeat(100)]);
        let text = table.to_text(Some(40));
        assert_eq!(text.lines().map(UnicodeWidthStr::width).max(), Some(40));
        assert_eq!(text.lines().next(), Some("ID  FROM            MESSAGE"));
        assert!(text.contains("17  王小明          今天的报表在哪里？\n"), "{text}");
        assert!(text.contains("9   somebody with…  xxx"), "{text}");
        assert!(table.to_text(None).contains(&"x".repeat(100)));
    }
}
