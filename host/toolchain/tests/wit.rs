//! The interface of `wit/`: it can be used, everything in it is documented, and what was built for it before still fits.
//!
//! `released/VERSION` holds the interface of the last release. Within 0.1 interfaces may be added to what plugins import;
//! nothing that is there may change. When a version is released, its files are put there.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking; clippy knows only functions marked as tests"
)]

use std::path::{Path, PathBuf};

use wit_parser::{Docs, Function, Resolve, TypeDefKind, TypeOwner};

/// The version in `released` that `wit/` must be compatible with.
const RELEASED: &str = "0.1.0";

/// Stands for the version of `wit/` where it is put beside the released one.
const NEXT: &str = "0.1.9999";

/// Worlds that authors build for. `all` is what the host looks for; it may grow.
const WORLDS: [&str; 4] = ["imports", "bot", "automation", "action"];

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

#[test]
fn every_item_is_documented() {
    let mut resolve = Resolve::default();
    resolve.push_dir(wit()).unwrap();
    let mut bare = Vec::new();
    let mut look = |docs: &Docs, what: String| {
        if docs.contents.as_deref().is_none_or(|docs| docs.trim().is_empty()) {
            bare.push(what);
        }
    };
    for (_, interface) in resolve.interfaces.iter() {
        let name = interface.name.clone().unwrap_or_default();
        look(&interface.docs, name.clone());
        let mut function = |function: &Function| look(&function.docs, format!("{name}.{}", function.name));
        interface.functions.values().for_each(&mut function);
    }
    for (_, ty) in resolve.types.iter() {
        let (Some(name), TypeOwner::Interface(_)) = (&ty.name, ty.owner) else { continue };
        // What is used from elsewhere is documented there.
        if !matches!(ty.kind, TypeDefKind::Type(_)) {
            look(&ty.docs, name.clone());
        }
        match &ty.kind {
            TypeDefKind::Record(record) => {
                record.fields.iter().for_each(|field| look(&field.docs, format!("{name}.{}", field.name)));
            }
            TypeDefKind::Variant(variant) => {
                variant.cases.iter().for_each(|case| look(&case.docs, format!("{name}.{}", case.name)));
            }
            TypeDefKind::Enum(cases) => {
                cases.cases.iter().for_each(|case| look(&case.docs, format!("{name}.{}", case.name)));
            }
            _ => {}
        }
    }
    for (_, world) in resolve.worlds.iter() {
        look(&world.docs, format!("world {}", world.name));
    }
    assert!(bare.is_empty(), "without documentation: {bare:?}");
}

#[test]
fn what_was_built_for_the_last_release_still_fits() {
    let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released").join(RELEASED);
    let problems = changes(&released, &|_, text| text);
    assert!(problems.is_empty(), "{problems:#?}");
}

/// The test above can fail: a field more, a function less and another type are all found.
#[test]
fn a_change_is_found() {
    let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released").join(RELEASED);
    let replaced = |file: &'static str, from: &'static str, to: &'static str| {
        let change = move |name: &str, text: String| {
            if name != file {
                return text;
            }
            assert!(text.contains(from), "{file} has no `{from}`");
            text.replacen(from, to, 1)
        };
        changes(&released, &change)
    };
    assert!(!replaced("types.wit", "        title: option<string>,", "        title: string,").is_empty());
    assert!(
        !replaced("types.wit", "        admin: bool,", "        admin: bool,\n        age: u32,").is_empty()
    );
    assert!(!replaced("chat.wit", "recall: func(id: string)", "take-back: func(id: string)").is_empty());
}

/// The worlds of `wit/`, changed by `change`, that do not fit what was built for the worlds in `released`.
fn changes(released: &Path, change: &dyn Fn(&str, String) -> String) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("root.wit"), "package belfry:check; interface nothing {}").unwrap();
    for (from, to, bump) in [(released.to_owned(), "old", false), (wit(), "new", true)] {
        let to = root.join("deps").join(to);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "wit") {
                continue;
            }
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let mut text = std::fs::read_to_string(&path).unwrap();
            if bump {
                text = change(&name, text);
                let line = format!("package belfry:bot@{RELEASED};");
                assert!(text.starts_with(&line), "{name} does not begin with `{line}`");
                text = text.replacen(&line, &format!("package belfry:bot@{NEXT};"), 1);
            }
            std::fs::write(to.join(name), text).unwrap();
        }
    }
    for entry in std::fs::read_dir(wit().join("deps")).unwrap() {
        let from = entry.unwrap().path();
        let to = root.join("deps").join(from.file_name().unwrap());
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(&from).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
    let mut resolve = Resolve::default();
    if let Err(error) = resolve.push_dir(root) {
        return vec![format!("{error:#}")];
    }
    let world = |version: &str, world: &str| {
        let mut packages = resolve.packages.iter();
        let package =
            packages.find(|(_, package)| package.name.to_string() == format!("belfry:bot@{version}"));
        package.unwrap().1.worlds.get(world).copied()
    };
    let mut problems = Vec::new();
    for name in WORLDS {
        match (world(RELEASED, name), world(NEXT, name)) {
            (Some(old), Some(new)) => {
                if let Err(error) = wit_component::semver_check(resolve.clone(), old, new) {
                    problems.push(format!("world {name}: {error:#}"));
                }
            }
            (Some(_), None) => problems.push(format!("world {name} is gone")),
            (None, _) => {}
        }
    }
    problems
}
