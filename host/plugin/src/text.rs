//! Text that guests and files hand us, made safe to print.

/// `text` on one line, without anything a terminal or a log reader would take as a command: control characters,
/// escape sequences, invisible direction marks. At most `max` bytes, cut at a character.
pub(crate) fn line(text: &str, max: usize) -> String {
    scrub(text, max, false)
}

/// As [`line`], but line breaks stay.
pub(crate) fn block(text: &str, max: usize) -> String {
    scrub(text, max, true)
}

fn scrub(text: &str, max: usize, keep_breaks: bool) -> String {
    let mut clean = String::with_capacity(text.len().min(max));
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        let char = match char {
            '\n' if keep_breaks => '\n',
            '\n' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            '\u{1b}' => {
                // The parameters of a control sequence would otherwise stay behind as litter such as `[31m`.
                if rest.next_if_eq(&'[').is_some() {
                    while rest.next_if(|c| ('\u{20}'..'\u{40}').contains(c)).is_some() {}
                    rest.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
                }
                continue;
            }
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => continue,
            char if char.is_control() => continue,
            char => char,
        };
        if clean.len() + char.len_utf8() > max {
            clean.push('…');
            break;
        }
        clean.push(char);
    }
    clean
}

/// `bytes` as a person writes it: `64 MiB`, `1.5 KiB`, `12 bytes`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            return match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                tenth => format!("{}.{tenth} {name}", tenths / 10),
            };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_control_characters_go() {
        assert_eq!(line("a\u{1b}[31;1mred\u{1b}[0m\r\n\tb\u{7}\u{9b}\u{202e}c", 99), "ared  bc");
        assert_eq!(block("a\r\nb\n", 99), "a\nb\n");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(line("äöü", 5), "äö…");
        assert_eq!(line("äöü", 6), "äöü");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(12), "12 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(64 << 20), "64 MiB");
    }
}
