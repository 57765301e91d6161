//! What a component file says about itself in its custom sections, by the names that `wasm-tools metadata` uses.

/// Longer texts are no metadata.
const LONGEST: usize = 4096;

/// What a component file says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) licenses: Option<String>,
}

impl Metadata {
    /// Reads the sections of the file itself, not of what is nested in it. What is no WebAssembly says nothing.
    pub(crate) fn read(file: &[u8]) -> Self {
        let mut metadata = Self::default();
        let Some(mut rest) = file.strip_prefix(b"\0asm").and_then(|rest| rest.get(4..)) else {
            return metadata;
        };
        while let Some((id, section, after)) = section(rest) {
            rest = after;
            let Some((name, text)) = (id == 0).then(|| sized(section)).flatten() else { continue };
            let field = match name {
                b"version" => &mut metadata.version,
                b"description" => &mut metadata.description,
                b"licenses" => &mut metadata.licenses,
                _ => continue,
            };
            let text = std::str::from_utf8(text).ok().map(str::trim);
            *field = text.filter(|text| !text.is_empty() && text.len() <= LONGEST).map(str::to_owned);
        }
        metadata
    }

    /// The file with these sections at its end, so far as it does not say the same already. The last one of a name counts.
    pub(crate) fn write(&self, mut file: Vec<u8>) -> Vec<u8> {
        let before = Self::read(&file);
        let fields = [
            ("version", &self.version, &before.version),
            ("description", &self.description, &before.description),
            ("licenses", &self.licenses, &before.licenses),
        ];
        for (name, text, before) in fields {
            let Some(text) = text.as_deref().map(|text| cut(text.trim())).filter(|text| !text.is_empty())
            else {
                continue;
            };
            if before.as_deref() == Some(text) {
                continue;
            }
            let mut section = Vec::new();
            write_number(&mut section, name.len());
            section.extend_from_slice(name.as_bytes());
            section.extend_from_slice(text.as_bytes());
            file.push(0);
            write_number(&mut file, section.len());
            file.extend_from_slice(&section);
        }
        file
    }
}

fn cut(text: &str) -> &str {
    let mut end = LONGEST.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The first section: its id, its content, and what comes after it.
fn section(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (id, rest) = bytes.split_first()?;
    let (section, after) = sized(rest)?;
    Some((*id, section, after))
}

/// Bytes with their length in front, and what comes after them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return bytes.get(place + 1..)?.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

/// In LEB128.
fn write_number(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_is_written_is_read() {
        let long = "x".repeat(200);
        let metadata = Metadata {
            version: Some("1.2.0".into()),
            description: Some(long),
            licenses: Some("Apache-2.0".into()),
        };
        let file = metadata.write(EMPTY.to_vec());
        assert_eq!(Metadata::read(&file), metadata);
        assert_eq!(metadata.write(file.clone()), file, "nothing is said twice");
        let newer = Metadata { version: Some("1.3.0".into()), ..Metadata::default() };
        assert_eq!(
            Metadata::read(&newer.write(file)),
            Metadata { version: Some("1.3.0".into()), ..metadata }
        );
    }

    #[test]
    fn what_is_nested_is_not_its_own() {
        let inner =
            Metadata { version: Some("9".into()), ..Metadata::default() }.write(b"\0asm\x01\0\0\0".to_vec());
        let mut file = EMPTY.to_vec();
        file.push(1);
        write_number(&mut file, inner.len());
        file.extend_from_slice(&inner);
        assert_eq!(Metadata::read(&file), Metadata::default());
    }

    #[test]
    fn too_long_a_text_is_cut_between_characters() {
        let metadata = Metadata { description: Some("ß".repeat(3000)), ..Metadata::default() };
        let read = Metadata::read(&metadata.write(EMPTY.to_vec())).description.unwrap();
        assert_eq!(read, "ß".repeat(2048));
    }

    proptest! {
        #[test]
        fn anything_can_be_read(bytes: Vec<u8>) {
            Metadata::read(&bytes);
            Metadata::read(&[EMPTY, &bytes].concat());
        }
    }
}
