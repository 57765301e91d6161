//! Whether a component does what its project's WIT promises.

use std::collections::HashSet;
use std::path::Path;

use wit_parser::decoding::DecodedWasm;
use wit_parser::{
    Function, Handle, Interface, InterfaceId, Resolve, Type, TypeDefKind, TypeId, World, WorldItem, WorldKey,
};

use crate::project::read_world;

/// What a component lacks, or has otherwise than its WIT says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The bytes are no component.
    #[error("it is no component: {0}")]
    NotAComponent(String),
    /// The WIT cannot be read.
    #[error("the WIT {0}")]
    Wit(String),
    /// Exports are missing or differ.
    #[error("{0}")]
    Exports(String),
}

/// Checks that `wasm` exports every interface that the world in `wit` exports, with the same functions. `wit` is a folder as
/// `belfry new` writes it, or one file. Exports that the world does not name are fine: toolchains add some of their own.
///
/// # Errors
///
/// What is missing or differs, in words.
pub fn check_world(wasm: &[u8], wit: &Path) -> Result<(), WorldError> {
    let (resolve, world) = read_world(wit).map_err(WorldError::Wit)?;
    let wanted = Side { resolve: &resolve, world: resolve.worlds.get(world) };
    // A core module would be read as a component without exports.
    if !wasm.starts_with(b"\0asm\x0d\0\x01\0") {
        return Err(WorldError::NotAComponent("its first bytes are those of something else".into()));
    }
    let decoded = wit_parser::decoding::decode(wasm)
        .map_err(|error| WorldError::NotAComponent(format!("{error:#}")))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(WorldError::NotAComponent("it is a package of WIT".into()));
    };
    let there = Side { resolve: &resolve, world: resolve.worlds.get(world) };
    let problems = compare(&wanted, &there);
    match problems.is_empty() {
        true => Ok(()),
        false => Err(WorldError::Exports(problems.join("; "))),
    }
}

/// A world and what it refers to.
struct Side<'a> {
    resolve: &'a Resolve,
    world: Option<&'a World>,
}

impl<'a> Side<'a> {
    /// The exported interfaces, with the names that components give them.
    fn exports(&self) -> Vec<(String, &'a Interface)> {
        let exports = self.world.into_iter().flat_map(|world| &world.exports);
        let interfaces = exports.filter_map(|(key, item)| {
            let WorldItem::Interface { id, .. } = item else { return None };
            Some((self.name(key, *id), self.resolve.interfaces.get(*id)?))
        });
        interfaces.collect()
    }

    fn name(&self, key: &WorldKey, id: InterfaceId) -> String {
        match key {
            WorldKey::Name(name) => name.clone(),
            WorldKey::Interface(_) => self.resolve.id_of(id).unwrap_or_default(),
        }
    }
}

fn compare(wanted: &Side<'_>, there: &Side<'_>) -> Vec<String> {
    let exports = there.exports();
    let mut problems = Vec::new();
    for (name, interface) in wanted.exports() {
        let Some((_, found)) = exports.iter().find(|(found, _)| *found == name) else {
            let all: Vec<String> = exports.iter().map(|(name, _)| format!("`{name}`")).collect();
            let all = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
            problems.push(format!(
                "`wit/world.wit` exports `{name}`, but the component exports {all}; write its functions ({}), or take the \
                 line out of `wit/world.wit`",
                functions(interface)
            ));
            continue;
        };
        for (function, wanted_type) in &interface.functions {
            match found.functions.get(function) {
                None => problems
                    .push(format!("the component's `{name}` has no `{function}`, only {}", functions(found))),
                Some(found_type) if !same_function(wanted, wanted_type, there, found_type) => {
                    problems.push(format!(
                        "`{function}` of `{name}` has other parameters or results than `wit/` says; build again from the same \
                         `wit/` that the bindings were made of"
                    ));
                }
                Some(_) => {}
            }
        }
    }
    problems
}

fn functions(interface: &Interface) -> String {
    let names: Vec<String> = interface.functions.keys().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "no functions".to_owned() } else { names.join(", ") }
}

fn same_function(a: &Side<'_>, wanted: &Function, b: &Side<'_>, found: &Function) -> bool {
    let mut compared = Compared { a: a.resolve, b: b.resolve, seen: HashSet::new() };
    let params = wanted.params.len() == found.params.len()
        && wanted
            .params
            .iter()
            .zip(&found.params)
            .all(|(a, b)| a.name == b.name && compared.same(&a.ty, &b.ty));
    params && compared.same_option(wanted.result.as_ref(), found.result.as_ref())
}

/// Types of two packages, compared by what they are made of. Each pair is looked at once.
struct Compared<'a> {
    a: &'a Resolve,
    b: &'a Resolve,
    seen: HashSet<(TypeId, TypeId)>,
}

impl Compared<'_> {
    fn same_option(&mut self, a: Option<&Type>, b: Option<&Type>) -> bool {
        match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => self.same(a, b),
            _ => false,
        }
    }

    fn same(&mut self, a: &Type, b: &Type) -> bool {
        match (self.resolved(self.a, a), self.resolved(self.b, b)) {
            (Type::Id(a), Type::Id(b)) => !self.seen.insert((a, b)) || self.same_kind(a, b),
            (a, b) => a == b,
        }
    }

    /// Follows `type x = y` and `use` to what is meant. Packages are checked for cycles when they are read.
    fn resolved(&self, resolve: &Resolve, ty: &Type) -> Type {
        let mut ty = *ty;
        while let Type::Id(id) = ty
            && let Some(TypeDefKind::Type(next)) = resolve.types.get(id).map(|def| &def.kind)
        {
            ty = *next;
        }
        ty
    }

    fn same_kind(&mut self, a: TypeId, b: TypeId) -> bool {
        let (resolve_a, resolve_b) = (self.a, self.b);
        let (Some(a), Some(b)) = (resolve_a.types.get(a), resolve_b.types.get(b)) else { return false };
        match (&a.kind, &b.kind) {
            (TypeDefKind::Record(x), TypeDefKind::Record(y)) => {
                x.fields.len() == y.fields.len()
                    && x.fields
                        .iter()
                        .zip(&y.fields)
                        .all(|(x, y)| x.name == y.name && self.same(&x.ty, &y.ty))
            }
            (TypeDefKind::Variant(x), TypeDefKind::Variant(y)) => {
                x.cases.len() == y.cases.len()
                    && x.cases
                        .iter()
                        .zip(&y.cases)
                        .all(|(x, y)| x.name == y.name && self.same_option(x.ty.as_ref(), y.ty.as_ref()))
            }
            (TypeDefKind::Enum(x), TypeDefKind::Enum(y)) => {
                x.cases.iter().map(|case| &case.name).eq(y.cases.iter().map(|case| &case.name))
            }
            (TypeDefKind::Flags(x), TypeDefKind::Flags(y)) => {
                x.flags.iter().map(|flag| &flag.name).eq(y.flags.iter().map(|flag| &flag.name))
            }
            (TypeDefKind::Tuple(x), TypeDefKind::Tuple(y)) => {
                x.types.len() == y.types.len() && x.types.iter().zip(&y.types).all(|(x, y)| self.same(x, y))
            }
            (TypeDefKind::List(x), TypeDefKind::List(y))
            | (TypeDefKind::Option(x), TypeDefKind::Option(y)) => self.same(x, y),
            (TypeDefKind::Result(x), TypeDefKind::Result(y)) => {
                self.same_option(x.ok.as_ref(), y.ok.as_ref())
                    && self.same_option(x.err.as_ref(), y.err.as_ref())
            }
            (TypeDefKind::Handle(Handle::Own(x)), TypeDefKind::Handle(Handle::Own(y)))
            | (TypeDefKind::Handle(Handle::Borrow(x)), TypeDefKind::Handle(Handle::Borrow(y))) => {
                self.same(&Type::Id(*x), &Type::Id(*y))
            }
            (TypeDefKind::Resource, TypeDefKind::Resource) => a.name == b.name,
            _ => false,
        }
    }
}
