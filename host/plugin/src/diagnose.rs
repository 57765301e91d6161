//! What is wrong with a file that should be a plugin, in words for the person who built it.
//!
//! The linker would find all of this too, but says it in terms of instances and missing definitions.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem};

use crate::LoadError;
use crate::plugin::Handler;
use crate::signature::Signature;
use crate::text;

/// The version of `wit/` this host runs.
const API: &str = "0.1.0";

/// The interfaces of `belfry:bot` a guest may import, and their functions. Those it exports are among them: tools import
/// an interface whose types they need.
const OWN: [(&str, &[&str]); 13] = [
    ("types", &[]),
    ("events", &[]),
    ("host", &["plugins"]),
    ("fetch", &["fetch"]),
    ("chat", &["send", "recall", "download", "upload"]),
    ("cards", &["send", "update"]),
    (
        "live-card",
        &[
            "[static]card.create",
            "[method]card.append",
            "[method]card.set",
            "[method]card.finish",
            "[method]card.fail",
        ],
    ),
    ("message-handler", &[]),
    ("event-handler", &[]),
    ("action-handler", &[]),
    ("transform", &[]),
    ("describe", &[]),
    ("resident", &[]),
];

/// An interface that a plugin may export.
struct Export {
    interface: &'static str,
    /// What it is asked for, if it is a handler.
    handler: Option<Handler>,
    /// Its functions: the name, the type as `wit/` writes it, and that type down to the first level.
    functions: &'static [(&'static str, &'static str, &'static str)],
}

const EXPORTS: [Export; 6] = [
    Export {
        interface: "message-handler",
        handler: Some(Handler::Message),
        functions: &[(
            "on-message",
            "func(message: message) -> result<outcome, failure>",
            "func(record) -> result<variant, variant>",
        )],
    },
    Export {
        interface: "event-handler",
        handler: Some(Handler::Event),
        functions: &[(
            "on-event",
            "func(event: event) -> result<list<effect>, failure>",
            "func(record) -> result<list<variant>, variant>",
        )],
    },
    Export {
        interface: "action-handler",
        handler: Some(Handler::Action),
        functions: &[(
            "on-action",
            "func(request: request) -> result<response, failure>",
            "func(record) -> result<variant, variant>",
        )],
    },
    Export {
        interface: "transform",
        handler: Some(Handler::Transform),
        functions: &[(
            "transform",
            "func(event: event) -> result<option<event>, failure>",
            "func(record) -> result<option<record>, variant>",
        )],
    },
    Export {
        interface: "describe",
        handler: None,
        functions: &[("describe", "func() -> info", "func() -> record")],
    },
    Export {
        interface: "resident",
        handler: None,
        functions: &[
            ("init", "func() -> result<_, string>", "func() -> result<_, string>"),
            ("snapshot", "func() -> result<list<u8>, string>", "func() -> result<list<u8>, string>"),
            ("restore", "func(state: list<u8>) -> result<_, string>", "func(list<u8>) -> result<_, string>"),
        ],
    },
];

/// WASI 0.2 packages that are linked whole.
const WASI: [&str; 7] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:random", "wasi:sockets"];

/// Packages offered at exact versions.
const EXACT: [(&str, &[&str]); 3] = [
    ("wasi:config", &["0.2.0-rc.1"]),
    ("wasi:logging", &["0.1.0-draft"]),
    ("wasi:keyvalue", &["0.2.0-draft2", "0.2.0-draft"]),
];

const REBUILD: &str = "rebuild it against the `wit` folder of this host's version";

/// What a component shows to the outside.
pub(crate) struct Surface {
    pub(crate) handlers: Vec<Handler>,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// Those of the exports that the host uses.
    pub(crate) used: Vec<String>,
    /// Their interfaces.
    pub(crate) interfaces: Vec<&'static str>,
}

/// Looks at the bytes before the compiler does.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), LoadError> {
    const MAGIC: &[u8] = b"\0asm";
    const MODULE: &[u8] = &[1, 0, 0, 0];
    const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
    let incomplete = |what: &str| Err(LoadError::Incomplete(format!("{what}; is it still being written?")));
    let reject = |what: &str| Err(LoadError::Rejected(what.to_owned()));
    if bytes.is_empty() {
        return incomplete("the file is empty");
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return if MAGIC.starts_with(bytes) {
            incomplete("the file ends within its first bytes")
        } else if looks_like_text(bytes) {
            reject(
                "it is a text file, not a component; WebAssembly text is made binary by `wasm-tools parse`",
            )
        } else if bytes.starts_with(b"\x7fELF") {
            reject(
                "it is a native or precompiled file; this host takes components (.wasm) and compiles them itself",
            )
        } else {
            reject("it is not WebAssembly: a component begins with the bytes 00 61 73 6d")
        };
    };
    let Some((version, sections)) = rest.split_at_checked(4) else {
        return incomplete("the file ends within its first bytes");
    };
    match version {
        COMPONENT => {}
        MODULE => {
            return reject(
                "it is a core module, not a component; build for the target wasm32-wasip2, or turn it into one with \
                 `wasm-tools component new`",
            );
        }
        _ => return reject("it is WebAssembly of a version this host does not know"),
    }
    match walk(sections) {
        true => Ok(()),
        false => incomplete("the file looks incomplete: its last section is cut off"),
    }
}

/// Whether the top-level sections end where the file does.
fn walk(mut bytes: &[u8]) -> bool {
    while let Some((_id, rest)) = bytes.split_first() {
        let Some((size, rest)) = leb128(rest) else { return false };
        let Some(after) = usize::try_from(size).ok().and_then(|size| rest.get(size..)) else { return false };
        bytes = after;
    }
    true
}

fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    let mut rest = bytes;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

fn looks_like_text(bytes: &[u8]) -> bool {
    let head = bytes.get(..512).unwrap_or(bytes);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character cut in half by the limit above.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|char| char.is_control() && !char.is_whitespace())
}

/// The causes of a runtime error on one line, the innermost last.
pub(crate) fn chain(error: &wasmtime::Error) -> String {
    text::line(&format!("{error:#}"), 1_000)
}

/// Checks imports and exports by name and version.
pub(crate) fn surface(engine: &Engine, component: &Component) -> Result<Surface, LoadError> {
    let ty = component.component_type();
    let mut imports = Vec::new();
    for (name, import) in ty.imports(engine) {
        let functions = match &import.ty {
            ComponentItem::ComponentInstance(instance) => instance
                .exports(engine)
                .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
                .map(|(name, _)| name.to_owned())
                .collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        check_import(name, &functions).map_err(LoadError::Rejected)?;
        imports.push(text::line(name, 200));
    }
    let mut surface = Surface {
        handlers: Vec::new(),
        imports,
        exports: Vec::new(),
        used: Vec::new(),
        interfaces: Vec::new(),
    };
    for (name, export) in ty.exports(engine) {
        let shown = text::line(name, 200);
        surface.exports.push(shown.clone());
        let id = Id::parse(name);
        let known =
            EXPORTS.iter().find(|known| id.package == "belfry:bot" && id.interface == known.interface);
        let Some(known) = known else { continue };
        let interface = known.interface;
        if !id.is_compatible(API) {
            return Err(LoadError::Rejected(format!(
                "it exports `{interface}` of belfry:bot@{}, this host runs belfry:bot@{API}; {REBUILD}",
                text::line(id.version, 40)
            )));
        }
        let ComponentItem::ComponentInstance(instance) = &export.ty else { continue };
        for (name, written, wanted) in known.functions {
            let function = instance.get_export(engine, name).map(|item| item.ty);
            let Some(ComponentItem::ComponentFunc(function)) = function else {
                return Err(LoadError::Rejected(format!("its `{interface}` lacks `{name}`; {REBUILD}")));
            };
            check_signature(name, written, wanted, &function)?;
        }
        surface.used.push(shown);
        surface.interfaces.push(interface);
        surface.handlers.extend(known.handler);
    }
    if surface.handlers.is_empty() {
        return Err(LoadError::Rejected(no_handler(&surface.exports)));
    }
    Ok(surface)
}

fn check_signature(
    name: &str,
    written: &str,
    wanted: &str,
    function: &ComponentFunc,
) -> Result<(), LoadError> {
    let found = Signature(function).to_string();
    if found == wanted {
        // Whether the fields agree is found out by the trial: see `wrong_types`.
        return Ok(());
    }
    let that_is = if written == wanted { String::new() } else { format!(", that is `{wanted}`") };
    Err(LoadError::Rejected(format!(
        "its `{name}` has the wrong signature: `{}` instead of `{written}`{that_is}; {REBUILD}",
        text::line(&found, 300)
    )))
}

/// A handler of the right shape with other fields or cases; the runtime's own words name the first of them.
pub(crate) fn wrong_types(function: &str, error: &wasmtime::Error) -> LoadError {
    LoadError::Rejected(format!("its `{function}` has the wrong types: {}; {REBUILD}", chain(error)))
}

fn no_handler(exports: &[String]) -> String {
    let has = match exports {
        [] => "it exports nothing".to_owned(),
        [exports @ .., last] if exports.len() > 10 => {
            format!("it exports {} things up to `{last}`", exports.len() + 1)
        }
        exports => format!("it exports `{}`", exports.join("`, `")),
    };
    let strays =
        EXPORTS.iter().flat_map(|export| export.functions.iter().map(move |f| (f.0, export.interface)));
    let stray =
        strays.filter(|(name, _)| exports.iter().any(|export| export == name)).find(|(_, interface)| {
            // `transform` is the name of both.
            EXPORTS.iter().any(|export| export.interface == *interface && export.handler.is_some())
        });
    let hint = match stray {
        Some((name, interface)) => {
            format!(" (`{name}` belongs inside the interface `{interface}`, not at the root)")
        }
        None => String::new(),
    };
    let wanted = stray.map_or("message-handler", |(_, interface)| interface);
    format!("it has no handler this host knows: {has}{hint}; export `belfry:bot/{wanted}@{API}` in its world")
}

fn check_import(name: &str, functions: &[String]) -> Result<(), String> {
    let id = Id::parse(name);
    let shown = text::line(name, 200);
    let version = text::line(id.version, 40);
    if id.package == "belfry:bot" {
        if !id.is_compatible(API) {
            return Err(format!(
                "it was built for belfry:bot@{version}, this host runs belfry:bot@{API}; {REBUILD}"
            ));
        }
        let Some((_, known)) = OWN.iter().find(|(interface, _)| *interface == id.interface) else {
            return Err(format!(
                "it needs `{shown}`, which belfry:bot@{API} does not have; upgrade Belfry, or {REBUILD}"
            ));
        };
        if let Some(missing) = functions.iter().find(|function| !known.contains(&function.as_str())) {
            return Err(format!(
                "it needs `{}` of `{shown}`, which belfry:bot@{API} does not have; upgrade Belfry, or {REBUILD}",
                text::line(missing, 100)
            ));
        }
        return Ok(());
    }
    if WASI.contains(&id.package) {
        return match id.is_compatible("0.2.0") {
            true => Ok(()),
            false => {
                Err(format!("it needs `{shown}`, this host has WASI 0.2; build for the target wasm32-wasip2"))
            }
        };
    }
    if let Some((package, offered)) = EXACT.iter().find(|(package, _)| *package == id.package) {
        return match offered.contains(&id.version) {
            true => Ok(()),
            false => Err(format!("it needs `{shown}`, this host has {package}@{}", offered.join(" and "))),
        };
    }
    Err(format!(
        "it imports `{shown}`, which this host does not offer; it offers belfry:bot@{API}, wasi:cli@0.2 and all that \
         belongs to it, wasi:http@0.2, wasi:keyvalue@0.2.0-draft2, wasi:config@0.2.0-rc.1 and \
         wasi:logging@0.1.0-draft"
    ))
}

/// A name such as `belfry:bot/host@0.1.0`, in parts; those that are missing are empty.
struct Id<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Id<'a> {
    fn parse(name: &'a str) -> Self {
        let (name, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = name.split_once('/').unwrap_or((name, ""));
        Id { package, interface, version }
    }

    /// Whether something built for this version can be given `offered`: the rule of semantic versions, which the
    /// linker applies too.
    fn is_compatible(&self, offered: &str) -> bool {
        fn track(version: &str) -> Option<(u64, u64)> {
            if version.contains('-') {
                return None;
            }
            let mut parts = version.split('.').map(|part| part.parse().ok());
            match (parts.next()??, parts.next()??) {
                (0, minor) => Some((0, minor)),
                (major, _) => Some((major, 0)),
            }
        }
        self.version == offered || (track(self.version).is_some() && track(self.version) == track(offered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_the_linker() {
        for (version, fits) in
            [("0.1.0", true), ("0.1.9", true), ("0.2.0", false), ("1.1.0", false), ("", false)]
        {
            let name = format!("belfry:bot/host@{version}");
            assert_eq!(Id::parse(&name).is_compatible(API), fits, "{version}");
        }
        assert!(!Id::parse("wasi:cli/exit@0.2.0-rc-2023").is_compatible("0.2.0"));
    }

    #[test]
    fn sections_must_end_with_the_file() {
        assert!(walk(&[]));
        assert!(walk(&[0, 2, 9, 9]));
        assert!(!walk(&[0, 3, 9, 9]));
        assert!(!walk(&[0]));
        assert!(!walk(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    }
}
