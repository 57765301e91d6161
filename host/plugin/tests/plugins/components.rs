//! Files that are no plugin, and what their author is told.

use belfry_plugin_host::{Host, HostConfig, LoadError};

use crate::support::{host, naughty, spec};

/// A component that exports a handler with another signature.
const WRONG_SIGNATURE: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (func (export "call") (param i32 i32) (result i32) i32.const 0)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
    (core instance $i (instantiate $m))
    (func $f (param "text" string) (result string)
        (canon lift (core func $i "call") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
    (instance $h (export "on-message" (func $f)))
    (export "belfry:bot/message-handler@0.1.0" (instance $h)))"#;

/// A component that exports the handler's function without its interface.
const AT_THE_ROOT: &str = r#"(component
    (core module $m (func (export "call")))
    (core instance $i (instantiate $m))
    (func $f (canon lift (core func $i "call")))
    (export "on-message" (func $f)))"#;

/// `bytes` with every `from` replaced by `to`, which is as long.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut patched = bytes.to_vec();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            patched[at..at + to.len()].copy_from_slice(to);
        }
    }
    patched
}

#[tokio::test]
async fn each_mistake_has_its_own_words() {
    let whole = naughty().await;
    let component = |body: &str| wat::parse_str(format!("(component {body})")).unwrap();
    let instance = |export: &str| component(&format!(r#"(instance $i) (export "{export}" (instance $i))"#));
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("one byte", whole[..1].to_vec()),
        ("header only half", whole[..6].to_vec()),
        ("cut in half", whole[..whole.len() / 2].to_vec()),
        ("text", b"fn main() {}\n".to_vec()),
        ("WebAssembly text", b"(component)".to_vec()),
        ("garbage", vec![0x9d; 4096]),
        ("native program", b"\x7fELF\x02\x01\x01\0".to_vec()),
        ("core module", wat::parse_str("(module)").unwrap()),
        ("unknown version", b"\0asm\x0e\0\x01\0".to_vec()),
        ("broken inside", b"\0asm\x0d\0\x01\0\x01\x04\xff\xff\xff\xff".to_vec()),
        ("nothing exported", component("")),
        ("other exports", instance("acme:chat/talker@1.0.0")),
        ("function at the root", wat::parse_str(AT_THE_ROOT).unwrap()),
        ("handler of another version", instance("belfry:bot/message-handler@0.2.0")),
        ("handler without function", instance("belfry:bot/message-handler@0.1.0")),
        ("wrong signature", wat::parse_str(WRONG_SIGNATURE).unwrap()),
        ("wrong field", patched(whole, b"staff-id", b"stuff-id")),
        ("newer API", component(r#"(import "belfry:bot/host@0.2.0" (instance))"#)),
        ("newer interface", component(r#"(import "belfry:bot/crystal-ball@0.1.3" (instance))"#)),
        (
            "newer function",
            component(r#"(import "belfry:bot/host@0.1.1" (instance (export "now" (func (result u64)))))"#),
        ),
        ("WASI 0.3", component(r#"(import "wasi:cli/stdout@0.3.0" (instance))"#)),
        ("other draft", component(r#"(import "wasi:config/store@0.2.0-draft" (instance))"#)),
        ("foreign import", component(r#"(import "acme:db/sql@1.0.0" (instance))"#)),
    ];
    let host = host();
    let mut report = String::new();
    for (name, bytes) in files {
        let error = host.load_bytes(spec(), bytes).await.err().unwrap_or_else(|| panic!("{name} was loaded"));
        let kind = match &error {
            LoadError::Incomplete(_) => "incomplete",
            _ => "rejected",
        };
        report += &format!("{name} ({kind}):\n    {error}\n");
    }
    insta::assert_snapshot!(report);
}

#[tokio::test]
async fn stray_exports_and_later_patch_versions_do_no_harm() {
    // An instance export nobody knows, beside the real ones, and an import of a patch release with known functions.
    let plugin = host().load_bytes(spec(), naughty().await.to_vec()).await.unwrap();
    let about = plugin.about();
    assert_eq!(about.exports, ["belfry:bot/message-handler@0.1.0"]);
    assert!(about.imports.iter().any(|import| import == "wasi:logging/logging@0.1.0-draft"), "{about:?}");

    let newer = patched(naughty().await, b"belfry:bot/host@0.1.0", b"belfry:bot/host@0.1.4");
    host().load_bytes(spec(), newer).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_compiled() {
    let host = Host::new(HostConfig { max_component: 1_000, ..HostConfig::default() }).unwrap();
    let error = host.load_bytes(spec(), naughty().await.to_vec()).await.err().unwrap();
    assert_eq!(error.to_string(), "it is larger than 1000 bytes, the most a plugin may have");
}

#[tokio::test]
async fn compiled_code_is_kept_between_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let files = |dir: &std::path::Path| {
        let mut stack = vec![dir.to_owned()];
        let mut count = 0;
        while let Some(dir) = stack.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { stack.push(path) } else { count += 1 }
            }
        }
        count
    };
    for _ in 0..2 {
        let config = HostConfig { cache_dir: Some(dir.path().join("cache")), ..HostConfig::default() };
        Host::new(config).unwrap().load_bytes(spec(), naughty().await.to_vec()).await.unwrap();
    }
    assert!(files(dir.path()) >= 1);
}

#[tokio::test]
async fn random_damage_never_panics() {
    let whole = naughty().await;
    let host = host();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20 {
        let mut bytes = whole.to_vec();
        for _ in 0..8 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = usize::try_from(seed).unwrap() % bytes.len();
            bytes[at] = seed.to_le_bytes()[3];
        }
        // Most are refused, some are still valid; neither may harm the host.
        let _ = host.load_bytes(spec(), bytes).await;
    }
}
