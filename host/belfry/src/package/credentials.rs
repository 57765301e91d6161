//! Who one is at a registry: from the command line and the environment, else from Docker's config.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use oci_client::secrets::RegistryAuth;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tracing::warn;

/// The variable with the password for `--username`.
pub(crate) const PASSWORD: &str = "BELFRY_REGISTRY_PASSWORD";

/// Longer passwords and larger configs are mistakes.
const LONGEST: u64 = 1 << 20;

/// Who one is at `registry`.
///
/// # Errors
/// A user's name without a password, or a config of Docker's that cannot be read.
pub(crate) fn find(registry: &str, username: Option<&str>, password_stdin: bool) -> Result<RegistryAuth> {
    let Some(username) = username else {
        return Ok(from_docker(registry)?.unwrap_or(RegistryAuth::Anonymous));
    };
    let password = if password_stdin {
        read_password()?
    } else {
        let password = std::env::var(PASSWORD).ok().filter(|password| !password.is_empty());
        SecretString::from(password.with_context(|| {
            format!("find the password of {username}: set {PASSWORD}, or give it with --password-stdin")
        })?)
    };
    Ok(RegistryAuth::Basic(username.to_owned(), password.expose_secret().to_owned()))
}

fn read_password() -> Result<SecretString> {
    anyhow::ensure!(
        !std::io::stdin().is_terminal(),
        "read the password: --password-stdin takes it from a pipe or a file, not from the terminal"
    );
    let mut text = String::new();
    std::io::stdin().take(LONGEST).read_to_string(&mut text).context("read the password")?;
    let password = text.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!password.is_empty(), "read the password: standard input is empty");
    Ok(SecretString::from(password))
}

/// Docker's config, as Docker and Podman look for it.
fn docker_config() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let places = [
        var("REGISTRY_AUTH_FILE"),
        var("DOCKER_CONFIG").map(|folder| folder.join("config.json")),
        var("HOME").map(|home| home.join(".docker/config.json")),
    ];
    places.into_iter().flatten().find(|path| path.is_file())
}

fn from_docker(registry: &str) -> Result<Option<RegistryAuth>> {
    let Some(path) = docker_config() else { return Ok(None) };
    let shown = path.display();
    let mut text = String::new();
    std::fs::File::open(&path)
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        .with_context(|| format!("read {shown}"))?;
    // The parser's own words could show what is in the file.
    let config: Value = serde_json::from_str(&text)
        .map_err(|error| anyhow::anyhow!("read {shown}: line {} is no JSON", error.line()))?;
    let found = entry(&config, registry);
    if found.is_none() && has_helper(&config, registry) {
        warn!(
            "the credentials for {registry} are with a helper of Docker's, which is not asked: nobody is signed in; \
             use --username"
        );
    }
    Ok(found)
}

/// The entry of `auths` for a registry.
fn entry(config: &Value, registry: &str) -> Option<RegistryAuth> {
    let auths = config.get("auths")?.as_object()?;
    let (_, auth) = auths.iter().find(|(key, _)| host(key) == registry)?;
    let text = |key: &str| auth.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let (Some(username), Some(password)) = (text("username"), text("password")) {
        return Some(RegistryAuth::Basic(username.to_owned(), password.to_owned()));
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(text("auth")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(RegistryAuth::Basic(username.to_owned(), password.to_owned()))
}

fn has_helper(config: &Value, registry: &str) -> bool {
    let own = config.get("credHelpers").and_then(|helpers| helpers.get(registry)).is_some();
    own || config.get("credsStore").and_then(Value::as_str).is_some_and(|store| !store.is_empty())
}

/// The host of a key of `auths`, which may be a URL.
fn host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn docker_knows_who_one_is() {
        let config = json!({ "auths": {
            "https://127.0.0.1:5000/v2/": { "auth": "bWU6cGFzczp3b3Jk" },
            "ghcr.io": { "username": "you", "password": "s3cret" },
            "broken.example.com": { "auth": "%%" },
        }});
        let me = RegistryAuth::Basic("me".into(), "pass:word".into());
        assert_eq!(entry(&config, "127.0.0.1:5000"), Some(me.clone()));
        assert_eq!(entry(&config, "ghcr.io"), Some(RegistryAuth::Basic("you".into(), "s3cret".into())));
        for other in ["127.0.0.1", "broken.example.com", "example.com"] {
            assert_eq!(entry(&config, other), None, "{other}");
        }
        assert!(!format!("{me:?}").contains("pass:word"));
    }

    #[test]
    fn a_helper_is_noticed() {
        assert!(has_helper(&json!({ "credsStore": "desktop" }), "ghcr.io"));
        assert!(has_helper(&json!({ "credHelpers": { "ghcr.io": "gh" } }), "ghcr.io"));
        assert!(!has_helper(&json!({ "credHelpers": { "ghcr.io": "gh" } }), "quay.io"));
    }
}
