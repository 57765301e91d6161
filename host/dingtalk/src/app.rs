//! Who we are towards DingTalk, and where DingTalk is.

use secrecy::SecretString;
use url::Url;

/// One DingTalk application: its credentials and the two API hosts it talks to.
///
/// `Debug` does not show the secret.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// ClientID of the app (formerly AppKey; SuiteKey for third-party apps). Usually starts with `ding`.
    pub client_id: String,
    /// ClientSecret (formerly AppSecret). Sent to [`api_base`](Self::api_base) when registering, and nowhere else.
    pub client_secret: SecretString,
    /// Base of the new API and of the gateway, `https://api.dingtalk.com` unless overseas or under test. A path is kept
    /// as a prefix.
    pub api_base: Url,
    /// Base of the old API, `https://oapi.dingtalk.com`. Session webhooks live there, and uploads go there.
    pub oapi_base: Url,
}

impl AppConfig {
    /// The app on DingTalk's production hosts.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            api_base: constant_url("https://api.dingtalk.com/"),
            oapi_base: constant_url("https://oapi.dingtalk.com/"),
        }
    }

    /// The address of `path` (without leading slash) below [`api_base`](Self::api_base).
    pub(crate) fn api_url(&self, path: &str) -> Url {
        below(&self.api_base, path)
    }

    /// The address of `path` (without leading slash) below [`oapi_base`](Self::oapi_base).
    pub(crate) fn oapi_url(&self, path: &str) -> Url {
        below(&self.oapi_base, path)
    }
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let prefix = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{prefix}/{path}"));
    url
}

#[expect(clippy::expect_used, reason = "only called with the two constants above, which a test parses")]
fn constant_url(text: &str) -> Url {
    Url::parse(text).expect("a constant URL parses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_put_below_the_base() {
        let mut app = AppConfig::new("dingx", "secret");
        assert_eq!(app.api_url("v1.0/x").as_str(), "https://api.dingtalk.com/v1.0/x");
        app.api_base = Url::parse("http://127.0.0.1:8080/mock/").unwrap();
        assert_eq!(app.api_url("v1.0/x").as_str(), "http://127.0.0.1:8080/mock/v1.0/x");
    }

    #[test]
    fn debug_hides_the_secret() {
        let shown = format!("{:?}", AppConfig::new("dingx", "hunter2"));
        assert!(shown.contains("dingx") && !shown.contains("hunter2"), "{shown}");
    }
}
