//! Where a package is in a registry: `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use oci_client::Reference;

const SCHEME: &str = "oci://";

/// Where a package is in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Reference);

impl Address {
    /// Whether text is meant as such an address.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.0
    }

    /// Host and port.
    pub(crate) fn registry(&self) -> &str {
        self.0.registry()
    }

    /// Whether the registry is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let registry = self.registry();
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The last part of the repository.
    pub(crate) fn short_name(&self) -> &str {
        let repository = self.0.repository();
        repository.rsplit('/').next().unwrap_or(repository)
    }

    /// The same package, by the digest it had.
    pub(crate) fn pinned(&self, digest: &str) -> String {
        format!("{SCHEME}{}/{}@{digest}", self.0.registry(), self.0.repository())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "it is written oci://HOST/REPOSITORY:TAG, such as oci://ghcr.io/example/todo:1.2.0, or \
                            with @sha256:… for the tag";
        let Some(rest) = text.strip_prefix(SCHEME) else { return Err(FORM.to_owned()) };
        // Without a host that looks like one, the parser means Docker Hub.
        let host = rest.split('/').next().unwrap_or_default();
        let named = host == "localhost" || host.contains(['.', ':']);
        if !named || !rest.contains('/') {
            return Err(format!("it names no registry: {FORM}"));
        }
        if rest.contains("//") || host.contains('@') {
            return Err(FORM.to_owned());
        }
        let reference: Reference = rest.parse().map_err(|error| format!("{error}; {FORM}"))?;
        Ok(Self(reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let address: Address = "oci://127.0.0.1:5000/bots/todo:1.2.0".parse().unwrap();
        assert_eq!(address.to_string(), "oci://127.0.0.1:5000/bots/todo:1.2.0");
        assert_eq!((address.registry(), address.short_name()), ("127.0.0.1:5000", "todo"));
        assert!(address.is_loopback());
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(address.pinned(&digest), format!("oci://127.0.0.1:5000/bots/todo@{digest}"));
        let pinned: Address = address.pinned(&digest).parse().unwrap();
        assert_eq!(pinned.reference().digest(), Some(digest.as_str()));
        assert!("oci://localhost:5000/todo".parse::<Address>().unwrap().is_loopback());
        for other in ["oci://localhost.example.com/todo:1", "oci://ghcr.io/a/todo", "oci://10.0.0.1/todo"] {
            assert!(!other.parse::<Address>().unwrap().is_loopback(), "{other}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "ghcr.io/a/todo",
            "oci://",
            "oci://todo",
            "oci://library/todo",
            "oci://ghcr.io",
            "oci://ghcr.io/Todo",
            "oci://ghcr.io/a//todo",
            "oci://me:secret@ghcr.io/a/todo",
            "oci://ghcr.io/a/todo@sha256:12",
        ] {
            let error = wrong.parse::<Address>().unwrap_err();
            assert!(error.contains("oci://HOST/REPOSITORY:TAG"), "{wrong}: {error}");
        }
    }
}
