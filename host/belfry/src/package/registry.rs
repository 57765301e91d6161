//! Packages in OCI registries, laid out as the CNCF's wasm working group has it, so that `wkg` and others read them: one
//! layer `application/wasm`, the component as it is, and a config that says what it imports and exports.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::StreamExt as _;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation, annotations};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;

use super::{LARGEST, Package, reference::Address};

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

/// A manifest is a few KiB, a component a few MiB.
const MANIFEST_WITHIN: Duration = Duration::from_secs(60);
const CONTENT_WITHIN: Duration = Duration::from_secs(15 * 60);
const SILENCE: Duration = Duration::from_secs(30);

/// A registry, and who one is there.
pub(crate) struct Registry {
    client: Client,
    address: Address,
    auth: RegistryAuth,
}

/// What came from a registry.
pub(crate) struct Pulled {
    /// The component.
    pub(crate) wasm: Vec<u8>,
    /// The digest of its manifest.
    pub(crate) digest: String,
    /// What the manifest says about it.
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Registry {
    /// The registry of `address`. Without TLS only where it is on this machine, or with `insecure`.
    ///
    /// # Errors
    /// When no client can be set up.
    pub(crate) fn of(address: &Address, auth: RegistryAuth, insecure: bool) -> Result<Self> {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plain = insecure || address.is_loopback();
        let config = ClientConfig {
            protocol: if plain { ClientProtocol::Http } else { ClientProtocol::Https },
            // An index of images for several machines is no component.
            platform_resolver: None,
            connect_timeout: Some(Duration::from_secs(10)),
            read_timeout: Some(SILENCE),
            user_agent: concat!("belfry/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).context("set up the client of registries")?;
        Ok(Self { client, address: address.clone(), auth })
    }

    /// Takes the package from the registry. Its digests are checked.
    ///
    /// # Errors
    /// When it is not there, may not be taken, is no component or is larger than 64 MiB.
    pub(crate) async fn pull(&self) -> Result<Pulled> {
        let what = || format!("take {} from its registry", self.address);
        let reference = self.address.reference();
        let manifest = timeout(MANIFEST_WITHIN, self.client.pull_manifest(reference, &self.auth)).await;
        let manifest = manifest.map_err(|_| anyhow::anyhow!("the registry did not answer in time"));
        let (manifest, digest) =
            manifest.with_context(what)?.map_err(|error| self.in_words(&error)).with_context(what)?;
        let OciManifest::Image(manifest) = manifest else {
            return Err(anyhow::anyhow!("it is an index of images for several machines, not a component"))
                .with_context(what);
        };
        let layer = only_layer(&manifest).with_context(what)?;
        let wasm = timeout(CONTENT_WITHIN, self.content(layer)).await;
        let wasm = wasm.map_err(|_| anyhow::anyhow!("the registry is too slow"));
        let wasm = wasm.and_then(|wasm| wasm).with_context(what)?;
        Ok(Pulled { wasm, digest, annotations: manifest.annotations.unwrap_or_default() })
    }

    async fn content(&self, layer: &OciDescriptor) -> Result<Vec<u8>> {
        let mut stream = self
            .client
            // By its digest alone: an address in the manifest is not followed.
            .pull_blob_stream(self.address.reference(), layer.digest.as_str())
            .await
            .map_err(|error| self.in_words(&error))?;
        let mut wasm = Vec::new();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.context("read the component")?;
            ensure!(wasm.len() + bytes.len() <= LARGEST, too_large());
            wasm.extend_from_slice(&bytes);
        }
        let digest = sha256(&wasm);
        ensure!(
            layer.digest == format!("sha256:{digest}"),
            "the component is not the one that the manifest names: its digest is sha256:{digest}, not {}",
            layer.digest
        );
        Ok(wasm)
    }

    /// Puts a package into the registry and returns the digest of its manifest.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub(crate) async fn push(&self, package: &Package) -> Result<String> {
        let what = || format!("put {} into its registry", self.address);
        ensure!(
            self.address.reference().digest().is_none(),
            "put {} into its registry: name it with a tag, its digest comes of itself",
            self.address
        );
        timeout(CONTENT_WITHIN, self.push_all(package))
            .await
            .map_err(|_| anyhow::anyhow!("the registry is too slow"))
            .and_then(|pushed| pushed)
            .with_context(what)
    }

    async fn push_all(&self, package: &Package) -> Result<String> {
        let reference = self.address.reference();
        let config = config(package)?;
        let descriptor = |media_type: &str, data: &[u8]| OciDescriptor {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{}", sha256(data)),
            size: i64::try_from(data.len()).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        let manifest = OciImageManifest {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: descriptor(CONFIG, &config),
            layers: vec![descriptor(LAYER, &package.wasm)],
            annotations: Some(annotations_of(package)),
            ..OciImageManifest::default()
        };
        let in_words = |error: OciDistributionError| self.in_words(&error);
        self.client.auth(reference, &self.auth, RegistryOperation::Push).await.map_err(in_words)?;
        for (data, digest) in [
            (
                package.wasm.clone(),
                &manifest.layers.first().map(|layer| layer.digest.clone()).unwrap_or_default(),
            ),
            (config, &manifest.config.digest),
        ] {
            self.client.push_blob(reference, data, digest).await.map_err(in_words)?;
        }
        let body = serde_json::to_vec(&manifest).context("write the manifest")?;
        let digest = format!("sha256:{}", sha256(&body));
        let media_type = http::HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
        self.client.push_manifest_raw(reference, body, media_type).await.map_err(in_words)?;
        Ok(digest)
    }

    /// Why the registry did not do it, with the mend.
    fn in_words(&self, error: &OciDistributionError) -> anyhow::Error {
        use OciDistributionError as E;
        let registry = self.address.registry();
        let denied = || {
            anyhow::anyhow!(
                "{registry} asks who you are, or does not let you: sign in with --username NAME and the password in {} \
                 (or `docker login {registry}`)",
                super::credentials::PASSWORD
            )
        };
        match error {
            E::UnauthorizedError { .. } | E::AuthenticationFailure(_) => denied(),
            E::ServerError { code: 401 | 403, .. } => denied(),
            E::RegistryError { envelope, .. } => {
                let codes: Vec<String> =
                    envelope.errors.iter().map(|error| format!("{:?}", error.code)).collect();
                match codes.first().map(String::as_str) {
                    Some("Unauthorized" | "Denied") => denied(),
                    Some("ManifestUnknown" | "NameUnknown" | "NotFound") => {
                        anyhow::anyhow!("{registry} has no such package: check the repository and the tag")
                    }
                    _ => anyhow::anyhow!("{registry} refuses it: {}", codes.join(", ")),
                }
            }
            E::ImageManifestNotFoundError(_) | E::ServerError { code: 404, .. } => {
                anyhow::anyhow!("{registry} has no such package: check the repository and the tag")
            }
            E::RequestError(error) => {
                let plain =
                    if self.address.is_loopback() { "" } else { "; a registry without TLS needs --insecure" };
                let mut cause: &dyn std::error::Error = error;
                while let Some(source) = cause.source() {
                    cause = source;
                }
                anyhow::anyhow!("{registry} cannot be reached: {cause}{plain}")
            }
            E::DigestError(error) => {
                anyhow::anyhow!("{registry} sent something else than was asked for: {error}")
            }
            other => anyhow::anyhow!("{registry}: {other}"),
        }
    }
}

pub(crate) fn too_large() -> String {
    format!("the component is larger than {} MiB", LARGEST >> 20)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn only_layer(manifest: &OciImageManifest) -> Result<&OciDescriptor> {
    ensure!(
        manifest.config.media_type == CONFIG,
        "it is no WebAssembly component but something of the type {}",
        manifest.config.media_type.escape_debug()
    );
    let [layer] = manifest.layers.as_slice() else {
        bail!("it has {} layers; a component is one", manifest.layers.len());
    };
    ensure!(
        layer.media_type == LAYER,
        "its layer is no WebAssembly but something of the type {}",
        layer.media_type.escape_debug()
    );
    ensure!(u64::try_from(layer.size).is_ok_and(|size| size <= LARGEST as u64), too_large());
    Ok(layer)
}

fn config(package: &Package) -> Result<Vec<u8>> {
    let created = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let config = json!({
        "created": created.format(&Rfc3339).context("write the time")?,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [format!("sha256:{}", sha256(&package.wasm))],
        "component": { "exports": package.exports, "imports": package.imports },
    });
    serde_json::to_vec(&config).context("write the package's config")
}

fn annotations_of(package: &Package) -> BTreeMap<String, String> {
    let metadata = &package.metadata;
    let pairs = [
        (annotations::ORG_OPENCONTAINERS_IMAGE_TITLE, Some(&package.name)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_VERSION, metadata.version.as_ref()),
        (annotations::ORG_OPENCONTAINERS_IMAGE_DESCRIPTION, metadata.description.as_ref()),
        (annotations::ORG_OPENCONTAINERS_IMAGE_LICENSES, metadata.licenses.as_ref()),
    ];
    pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone()))).collect()
}
