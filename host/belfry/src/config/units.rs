//! Sizes and times as people write them: a whole number and a unit.

use std::time::Duration;

/// Reads a size in bytes: `512B`, `64KiB`, `64MiB`, `1GiB`, or decimal `KB`, `MB`, `GB`.
///
/// The error is a fragment that names what was expected.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = r#"a whole number with B, KiB, MiB or GiB, such as "64MiB""#;
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(EXPECTED.to_owned()),
    };
    match number.checked_mul(factor) {
        Some(0) | None => Err(format!("{EXPECTED}, above zero and below 16 EiB")),
        Some(bytes) => Ok(bytes),
    }
}

/// Reads a time: `500ms`, `2s`, `5m`, `1h` or `7d`, at most a year.
///
/// The error is a fragment that names what was expected.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = r#"a whole number with ms, s, m, h or d, such as "500ms" or "2s""#;
    const YEAR_MS: u64 = 365 * 24 * 3_600_000;
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        _ => return Err(EXPECTED.to_owned()),
    };
    match number.checked_mul(factor) {
        Some(ms @ 1..=YEAR_MS) => Ok(Duration::from_millis(ms)),
        _ => Err(format!("{EXPECTED}, above zero and at most a year")),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        assert_eq!(size("512B"), Ok(512));
        assert_eq!(size("64 MiB"), Ok(64 << 20));
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        for wrong in ["", "64", "MiB", "1.5MiB", "-1MiB", "0MiB", "64mb", "99999999999GiB", "ß", "1ß"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_times() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(time("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(time("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "2", "s", "1.5s", "-1s", "0s", "2 sec", "9999999999h", "1m30s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
