//! Numbers, times and other people's text as they are shown.

use time::OffsetDateTime;
use time::macros::format_description;

/// Bytes.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A moment given in milliseconds since 1970, in UTC as in the log.
pub(super) fn moment(ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok();
    time.and_then(|time| time.format(&format).ok()).unwrap_or_else(|| format!("{ms} ms"))
}

/// How long `ms` is before `now_ms`, in its largest unit.
pub(super) fn age(ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(ms) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `moment` and `age` together.
pub(super) fn when(ms: u64, now_ms: u64) -> String {
    format!("{} ({} ago)", moment(ms), age(ms, now_ms))
}

/// A count with its word.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// Text of strangers and guests on one line: nothing in it reaches the terminal as a command.
pub(super) fn line(text: &str) -> String {
    text.split(['\n', '\r', '\t'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(plain)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The same on as many lines as it has, each indented by two.
pub(super) fn block(text: &str) -> String {
    text.lines().map(|line| format!("  {}\n", plain(&line.replace('\t', "    ")))).collect()
}

fn plain(text: &str) -> String {
    let shown = |c: char| {
        // Marks that turn the direction of text hide what is there as well.
        let hides = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || hides { c.escape_unicode().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(50 * 1024 + 512), "50.5 KiB");
        assert_eq!(size(3 << 20), "3.0 MiB");
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(moment(1_763_687_724_567), "2025-11-21 01:15:24Z");
        assert_eq!(moment(u64::MAX), format!("{} ms", u64::MAX));
        for (seconds, shown) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7_200, "2 h"), (172_800, "2 d")] {
            assert_eq!(age(5_000, 5_000 + seconds * 1000), shown);
        }
        // A clock that was set back.
        assert_eq!(age(9_000, 5_000), "0 s");
    }

    #[test]
    fn strangers_cannot_write_to_the_terminal() {
        assert_eq!(line("a\x1b[31mb\nc\td\r\n"), "a\\u{1b}[31mb c d");
        assert_eq!(line("\u{202e}abc"), "\\u{202e}abc");
        assert_eq!(block("a\n\x07b"), "  a\n  \\u{7}b\n");
    }
}
