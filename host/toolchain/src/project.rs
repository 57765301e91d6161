//! A project whose contract is its `wit/` folder: all languages but Rust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wit_component::WitPrinter;
use wit_parser::{PackageId, Resolve, SourceMap, UnresolvedPackageGroup, WorldId};

use crate::{BuildError, Built, Options, check_world, wit};

/// A folder with `wit/world.wit`, read.
pub(crate) struct Project {
    /// The folder.
    pub(crate) dir: PathBuf,
    /// The name of the WIT's package: `todo` of `package bot:todo`.
    pub(crate) name: String,
    /// The comment on the world, in one line.
    pub(crate) description: String,
    /// Where the build puts its files.
    pub(crate) out: PathBuf,
    /// All of the WIT.
    pub(crate) resolve: Resolve,
    /// The project's world in it.
    pub(crate) world: WorldId,
}

impl Project {
    /// Reads the WIT of the project in `dir` and makes the folder of its outputs.
    pub(crate) fn open(dir: &Path, options: &Options) -> Result<Project, BuildError> {
        let not_a_guest = |reason: String| BuildError::NotAGuest { dir: dir.to_owned(), reason };
        let wit = dir.join("wit");
        if !wit.is_dir() {
            let reason =
                "it has no folder `wit`, which says what it imports and handles; `belfry new` writes one";
            return Err(not_a_guest(reason.into()));
        }
        let (resolve, world) =
            read_world(&wit).map_err(|reason| not_a_guest(format!("its `wit` {reason}")))?;
        let text = resolve.worlds.get(world);
        let package = text.and_then(|world| world.package).and_then(|package| resolve.packages.get(package));
        let name = package.map(|package| package.name.name.clone()).unwrap_or_default();
        let docs = text.and_then(|world| world.docs.contents.clone()).unwrap_or_default();
        let description = docs.split_whitespace().collect::<Vec<_>>().join(" ");
        let out = options.target_dir.clone().unwrap_or_else(|| dir.join("build"));
        let out = std::path::absolute(&out).unwrap_or(out);
        std::fs::create_dir_all(&out)
            .map_err(|error| BuildError::Tool(format!("make the folder `{}`: {error}", out.display())))?;
        Ok(Project { dir: dir.to_owned(), name, description, out, resolve, world })
    }

    /// The world's name as a name of C: what the files of the bindings are called, too.
    pub(crate) fn world_name(&self) -> String {
        self.resolve.worlds.get(self.world).map(|world| world.name.replace('-', "_")).unwrap_or_default()
    }

    /// Checks the finished component and puts it in its place, whole: written aside, then renamed.
    pub(crate) fn finish(&self, component: &[u8]) -> Result<Built, BuildError> {
        check_world(component, &self.dir.join("wit"))
            .map_err(|error| BuildError::World { dir: self.dir.clone(), reason: error.to_string() })?;
        let wasm = self.out.join(format!("{}.wasm", self.name));
        put(&wasm, component)?;
        Ok(Built { name: self.name.clone(), description: self.description.clone(), wasm })
    }
}

/// Writes a file so that nobody ever sees half of it. One that holds this already is left alone, so that what is made from it
/// is not made again.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let failed = |error| BuildError::Tool(format!("write `{}`: {error}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    std::fs::write(&aside, bytes).map_err(failed)?;
    std::fs::rename(&aside, path).map_err(failed)
}

/// The only world of the package in the folder `wit`, with all that it refers to; or what is wrong, after "its `wit` ". A folder
/// without `deps` may refer to what this program holds.
pub(crate) fn read_world(wit: &Path) -> Result<(Resolve, WorldId), String> {
    let mut resolve = Resolve::default();
    let pushed = if !wit.is_dir() {
        resolve.push_path(wit).map(|(package, _)| package)
    } else if wit.join("deps").exists() {
        resolve.push_dir(wit).map(|(package, _)| package)
    } else {
        push_with_own(&mut resolve, wit)
    };
    let package = pushed.map_err(|error| format!("cannot be read: {error:#}"))?;
    let world =
        resolve.select_world(&[package], None).map_err(|error| format!("names no world: {error:#}"))?;
    Ok((resolve, world))
}

/// Reads the folder `wit`, with this program's own WIT as what it refers to.
fn push_with_own(resolve: &mut Resolve, wit: &Path) -> anyhow::Result<PackageId> {
    let main = UnresolvedPackageGroup::parse_dir(wit)?;
    let mut packages: BTreeMap<&str, SourceMap> = BTreeMap::new();
    for file in wit::FILES {
        let package = Path::new(file.path).parent().and_then(Path::to_str).unwrap_or_default();
        packages.entry(package).or_default().push_str(file.path, file.text);
    }
    let parsed = packages.into_values().map(|map| map.parse().map_err(|(_, error)| error));
    let others = parsed.collect::<Result<Vec<_>, _>>()?;
    Ok(resolve.push_groups(main, others)?)
}

/// The package of a world and all it refers to, as one WIT file.
pub(crate) fn printed(resolve: &Resolve, world: WorldId, docs: bool) -> anyhow::Result<String> {
    let package = resolve.worlds.get(world).and_then(|world| world.package);
    let package = package.ok_or_else(|| anyhow::anyhow!("the world is in no package"))?;
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    let mut printer = WitPrinter::default();
    printer.emit_docs(docs);
    printer.print(resolve, package, &others)?;
    Ok(printer.output.to_string())
}
