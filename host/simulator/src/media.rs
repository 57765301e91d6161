//! Files: those that people sent to a bot, and those that a bot uploaded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::say::{Content, RichRun};

/// Codes, addresses and uploads that are kept, each; beyond it the oldest is forgotten.
const MAX_ENTRIES: usize = 10_000;

/// Bytes of files that are kept, of those given and of uploads, each; beyond it the oldest is forgotten.
const MAX_BYTES: usize = 64 << 20;

/// How long the address of a file is good.
pub(crate) const ADDRESS_TTL: Duration = Duration::from_secs(3_600);

/// A picture of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// The content of whatever else nobody gave one.
const SAMPLE: &[u8] = b"a file of the simulated DingTalk\n";

/// A file that a bot uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// The app.
    pub client_id: Arc<str>,
    /// `media_id` as answered.
    pub media_id: Arc<str>,
    /// `type`: `image`, `file`, `voice` or `video`.
    pub media_type: String,
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Media {
    /// Codes that were pushed: whose they are, and what a bot gets for them unless something was given.
    codes: Kept<(Arc<str>, &'static [u8])>,
    given: Kept<Bytes>,
    /// Addresses of files.
    addresses: Kept<(Bytes, Instant)>,
    uploads: Kept<(Upload, Bytes)>,
}

/// A map that forgets its oldest entries.
#[derive(Debug)]
struct Kept<T> {
    by_name: HashMap<Arc<str>, (usize, T)>,
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { by_name: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Kept<T> {
    fn insert(&mut self, name: Arc<str>, size: usize, value: T) {
        self.bytes += size;
        match self.by_name.insert(Arc::clone(&name), (size, value)) {
            Some((old, _)) => self.bytes -= old,
            None => self.order.push_back(name),
        }
        while self.order.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some((size, _)) = self.by_name.remove(&oldest) {
                self.bytes -= size;
            }
        }
    }

    fn get(&self, name: &str) -> Option<&T> {
        self.by_name.get(name).map(|(_, value)| value)
    }
}

impl Media {
    /// Remembers the codes of a message to a bot.
    pub(crate) fn pushed(&mut self, client_id: &Arc<str>, content: &Content) {
        match content {
            Content::Picture { download_code } => self.picture(client_id, download_code),
            Content::RichText { runs } => runs.iter().for_each(|run| {
                if let RichRun::Picture { download_code } = run {
                    self.picture(client_id, download_code);
                }
            }),
            Content::Audio { download_code, .. }
            | Content::Video { download_code, .. }
            | Content::File { download_code, .. } => {
                self.codes.insert(download_code.as_str().into(), 0, (Arc::clone(client_id), SAMPLE));
            }
            _ => {}
        }
    }

    fn picture(&mut self, client_id: &Arc<str>, code: &str) {
        for code in [code.into(), crate::payload::picture_code(code).into()] {
            self.codes.insert(code, 0, (Arc::clone(client_id), PIXEL));
        }
    }

    /// Gives a code its content.
    pub(crate) fn give(&mut self, code: &str, content: Bytes) {
        self.given.insert(code.into(), content.len(), content);
    }

    /// The content behind a code of a message to this app.
    pub(crate) fn content(&self, client_id: &str, code: &str) -> Option<Bytes> {
        let (owner, sample) = self.codes.get(code)?;
        let given = self.given.get(code).or_else(|| {
            let plain = code.strip_prefix(crate::payload::PICTURE_CODE)?;
            self.given.get(plain)
        });
        (**owner == *client_id).then(|| given.cloned().unwrap_or(Bytes::from_static(sample)))
    }

    /// An address for a file: the last part of its path.
    pub(crate) fn address(&mut self, content: Bytes, ttl: Duration) -> Arc<str> {
        let name: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        self.addresses.insert(Arc::clone(&name), content.len(), (content, Instant::now() + ttl));
        name
    }

    /// What lies at an address, as long as it is good.
    pub(crate) fn at(&self, name: &str) -> Option<Bytes> {
        self.addresses
            .get(name)
            .filter(|(_, expires)| *expires > Instant::now())
            .map(|(file, _)| file.clone())
    }

    pub(crate) fn upload(&mut self, upload: Upload, content: Bytes) {
        self.uploads.insert(Arc::clone(&upload.media_id), content.len(), (upload, content));
    }

    /// What was uploaded, and its content.
    pub(crate) fn uploaded(&self, media_id: &str) -> Option<(Upload, Bytes)> {
        self.uploads.get(media_id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut media = Media::default();
        let app: Arc<str> = "app".into();
        for number in 0..MAX_ENTRIES + 1 {
            let file = Content::File { download_code: format!("code{number}"), file_name: "a".into() };
            media.pushed(&app, &file);
        }
        assert_eq!(media.content("app", "code0"), None);
        assert_eq!(media.content("app", "code1").as_deref(), Some(SAMPLE));
        assert_eq!(media.content("other", "code1"), None, "only the one who got it may read it");
        media.give("code1", Bytes::from_static(b"given"));
        assert_eq!(media.content("app", "code1").unwrap(), "given");
        for code in ["code2", "code3"] {
            media.give(code, Bytes::from(vec![0; MAX_BYTES / 2 + 1]));
        }
        assert_eq!(media.content("app", "code2").as_deref(), Some(SAMPLE), "too many bytes");
        let name = media.address(Bytes::from_static(b"x"), Duration::ZERO);
        assert_eq!(media.at(&name), None, "it has expired");
    }
}
