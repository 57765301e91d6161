//! `${env:NAME}` and `${file:PATH}` in the values that may hold them: credentials and URLs, nothing else.

use std::io::Read as _;
use std::path::Path;

/// A secret in a file is a line or a few; anything longer is the wrong file.
const LONGEST_FILE: u64 = 64 * 1024;

/// What is wrong with a value, and the mend. Never holds the value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) mend: String,
}

/// Where values come from.
pub(super) struct Sources<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// Relative paths start here: the folder of the config file.
    pub(super) folder: &'a Path,
}

/// Replaces every `${env:NAME}` and `${file:PATH}` in `text`; `$${` stands for `${`.
pub(super) fn expand(text: &str, sources: &Sources<'_>) -> Result<String, Failure> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        let body = reference.get(2..).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = body;
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = body.split_once('}') else {
            return Err(Failure {
                what: "a `${` has no `}`".to_owned(),
                mend: "write ${env:NAME} or ${file:PATH}, and $${ where ${ itself is meant".to_owned(),
            });
        };
        out.push_str(&look_up(name, sources)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn look_up(reference: &str, sources: &Sources<'_>) -> Result<String, Failure> {
    match reference.split_once(':') {
        Some(("env", name)) if !name.is_empty() => from_env(name, sources),
        Some(("file", path)) if !path.is_empty() => from_file(path, sources),
        // A name is shown, since most likely `env:` was forgotten; anything else may be a part of a secret.
        _ => Err(
            match reference.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !reference.is_empty() {
                true => Failure {
                    what: format!("`${{{reference}}}` is neither ${{env:NAME}} nor ${{file:PATH}}"),
                    mend: format!(
                        "for an environment variable write ${{env:{reference}}}; where ${{ itself is meant, $${{"
                    ),
                },
                false => Failure {
                    what: "a `${…}` is neither ${env:NAME} nor ${file:PATH}".to_owned(),
                    mend: "where ${ itself is meant, write $${".to_owned(),
                },
            },
        ),
    }
}

fn from_env(name: &str, sources: &Sources<'_>) -> Result<String, Failure> {
    let state = match (sources.env)(name) {
        Some(value) if !value.is_empty() => return Ok(value),
        Some(_) => "empty",
        None => "not set (or not UTF-8)",
    };
    Err(Failure {
        what: format!("the environment variable {name} is {state}"),
        mend: format!(
            "set it before Belfry starts: export {name}=…\n\
             (systemd: Environment= or EnvironmentFile=; Docker: -e {name}), or use ${{file:PATH}}"
        ),
    })
}

fn from_file(path: &str, sources: &Sources<'_>) -> Result<String, Failure> {
    let full = sources.folder.join(path);
    let shown = full.display();
    let failure = |what: String, mend: &str| Failure { what, mend: mend.to_owned() };
    let mut text = String::new();
    let read =
        std::fs::File::open(&full).and_then(|file| file.take(LONGEST_FILE + 1).read_to_string(&mut text));
    if let Err(cause) = read {
        let mend = match cause.kind() {
            std::io::ErrorKind::NotFound => "create it; a relative path starts at the folder of this config",
            std::io::ErrorKind::PermissionDenied => "let the user that runs Belfry read it",
            _ => "it must be a text file",
        };
        return Err(failure(format!("the file {shown} cannot be read: {cause}"), mend));
    }
    if text.len() as u64 > LONGEST_FILE {
        return Err(failure(
            format!("the file {shown} is longer than 64 KiB"),
            "it must hold the value and nothing else",
        ));
    }
    let value = text.trim_end_matches(['\n', '\r']);
    if value.is_empty() {
        return Err(failure(format!("the file {shown} is empty"), "write the value into it"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, Failure> {
        let env = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "NESTED" => Some("${env:SET}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &Sources { env: &env, folder: Path::new("/nonexistent") })
    }

    #[test]
    fn replaces_and_escapes() {
        assert_eq!(run("plain"), Ok("plain".to_owned()));
        assert_eq!(run("a${env:SET}b${env:SET}"), Ok("avaluebvalue".to_owned()));
        assert_eq!(run("$${env:SET}"), Ok("${env:SET}".to_owned()));
        assert_eq!(run("$$${env:SET}"), Ok("$${env:SET}".to_owned()));
        assert_eq!(run("$5 and {braces} ß"), Ok("$5 and {braces} ß".to_owned()));
    }

    #[test]
    fn what_comes_out_is_not_expanded_again() {
        assert_eq!(run("${env:NESTED}"), Ok("${env:SET}".to_owned()));
    }

    #[test]
    fn a_secret_that_looks_like_a_reference_is_not_shown() {
        let failure = run("ab${s3cr3t!}").unwrap_err();
        assert!(!format!("{failure:?}").contains("s3cr3t"), "{failure:?}");
    }

    #[test]
    fn refuses_what_it_cannot_replace() {
        for wrong in ["${env:UNSET}", "${env:EMPTY}", "${env:}", "${SET}", "${}", "${env:SET", "${file:no}"] {
            assert!(run(wrong).is_err(), "{wrong}");
        }
    }
}
