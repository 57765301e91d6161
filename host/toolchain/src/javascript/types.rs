//! The WIT as TypeScript declarations, for the author's editor and for `tsc`.
//!
//! jco has such a generator; this one follows the QuickJS backend (numbers for `u64`, null for none) and carries every doc
//! comment over.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use heck::{ToLowerCamelCase, ToUpperCamelCase};
use wit_parser::{
    Docs, Function, FunctionKind, Handle, Interface, InterfaceId, Resolve, Type, TypeDef, TypeDefKind,
    TypeId, TypeOwner, WorldId, WorldItem,
};

/// What `globals.js` puts into every plugin.
const GLOBALS: &str = include_str!("globals.d.ts");

/// Declarations of all that the world imports and exports, one module for each interface.
pub(super) fn declarations(resolve: &Resolve, world: WorldId) -> String {
    let mut text = String::from(
        "// What `wit/` says, for editors and for the type checker. Written by `belfry build`: do not edit.\n",
    );
    let Some(world) = resolve.worlds.get(world) else { return text };
    let ids = |items: &mut dyn Iterator<Item = &WorldItem>| -> Vec<InterfaceId> {
        items
            .filter_map(|item| match item {
                WorldItem::Interface { id, .. } => Some(*id),
                _ => None,
            })
            .collect()
    };
    let mut all: Vec<(InterfaceId, bool)> = Vec::new();
    all.extend(ids(&mut world.imports.values()).into_iter().map(|id| (id, false)));
    all.extend(ids(&mut world.exports.values()).into_iter().map(|id| (id, true)));
    let mut named = BTreeSet::new();
    for (id, exported) in all {
        let Some(interface) = resolve.interfaces.get(id) else { continue };
        let module = Module { resolve, id };
        let name = module.name(id);
        text.push('\n');
        text.push_str(&module.declare(interface, exported));
        // The short name is that of the first version.
        let full = resolve.id_of(id).unwrap_or_default();
        if full != name && named.insert(name.clone()) {
            let _ = write!(text, "\ndeclare module \"{full}\" {{\n  export * from \"{name}\";\n}}\n");
        }
    }
    text.push('\n');
    text.push_str(GLOBALS);
    text
}

struct Module<'a> {
    resolve: &'a Resolve,
    id: InterfaceId,
}

impl Module<'_> {
    /// The name that it is imported by, without the version, which the engine takes too.
    fn name(&self, id: InterfaceId) -> String {
        let full = self.resolve.id_of(id).unwrap_or_default();
        full.split('@').next().unwrap_or_default().to_owned()
    }

    fn declare(&self, interface: &Interface, exported: bool) -> String {
        let mut text = comment(&interface.docs, "");
        let _ = writeln!(text, "declare module \"{}\" {{", self.name(self.id));
        for (name, id) in &interface.types {
            if let Some(def) = self.resolve.types.get(*id) {
                text.push_str(&self.definition(name, *id, def, interface));
            }
        }
        let free = interface.functions.iter();
        let free: Vec<_> =
            free.filter(|(_, function)| matches!(function.kind, FunctionKind::Freestanding)).collect();
        if exported {
            let name = interface.name.as_deref().unwrap_or_default();
            text.push_str(&comment(&interface.docs, "  "));
            let _ = writeln!(text, "  export interface {} {{", name.to_upper_camel_case());
            for (name, function) in free {
                text.push_str(&self.comment_of(function, "    ", true));
                let _ = writeln!(
                    text,
                    "    {}({}): {result} | Promise<{result}>;",
                    name.to_lower_camel_case(),
                    self.parameters(function),
                    result = self.returned(function),
                );
            }
            text.push_str("  }\n");
        } else {
            for (name, function) in free {
                text.push_str(&self.comment_of(function, "  ", false));
                let _ = writeln!(
                    text,
                    "  export function {}({}): {};",
                    name.to_lower_camel_case(),
                    self.parameters(function),
                    self.returned(function),
                );
            }
        }
        text.push_str("}\n");
        text
    }

    fn definition(&self, name: &str, id: TypeId, def: &TypeDef, interface: &Interface) -> String {
        let ty = name.to_upper_camel_case();
        let mut text = comment(&def.docs, "  ");
        match &def.kind {
            TypeDefKind::Type(Type::Id(other)) if self.owner(*other) != Some(self.id) => {
                let Some(owner) = self.owner(*other) else { return String::new() };
                let theirs = self.type_name(*other);
                let from = self.name(owner);
                let renamed = if theirs == ty { ty.clone() } else { format!("{theirs} as {ty}") };
                return format!(
                    "  import type {{ {renamed} }} from \"{from}\";\n  export type {{ {renamed} }} from \"{from}\";\n"
                );
            }
            TypeDefKind::Record(record) => {
                let _ = writeln!(text, "  export interface {ty} {{");
                for field in &record.fields {
                    text.push_str(&comment(&field.docs, "    "));
                    let mark = if self.is_option(&field.ty) { "?" } else { "" };
                    let _ = writeln!(
                        text,
                        "    {}{mark}: {};",
                        field.name.to_lower_camel_case(),
                        self.ty(&field.ty)
                    );
                }
                text.push_str("  }\n");
            }
            TypeDefKind::Variant(variant) => {
                let _ = write!(text, "  export type {ty} =");
                for case in &variant.cases {
                    text.push('\n');
                    text.push_str(&comment(&case.docs, "    "));
                    let _ = match &case.ty {
                        None => write!(text, "    | {{ tag: \"{}\" }}", case.name),
                        Some(val) => {
                            write!(text, "    | {{ tag: \"{}\"; val: {} }}", case.name, self.ty(val))
                        }
                    };
                }
                text.push_str(";\n");
            }
            TypeDefKind::Enum(all) => {
                let _ = write!(text, "  export type {ty} =");
                for case in &all.cases {
                    text.push('\n');
                    text.push_str(&comment(&case.docs, "    "));
                    let _ = write!(text, "    | \"{}\"", case.name);
                }
                text.push_str(";\n");
            }
            TypeDefKind::Flags(flags) => {
                let _ = writeln!(text, "  export interface {ty} {{");
                for flag in &flags.flags {
                    text.push_str(&comment(&flag.docs, "    "));
                    let _ = writeln!(text, "    {}: boolean;", flag.name.to_lower_camel_case());
                }
                text.push_str("  }\n");
            }
            TypeDefKind::Resource => {
                let _ = writeln!(text, "  export class {ty} {{");
                text.push_str(&self.members(id, interface));
                text.push_str("  }\n");
            }
            _ => {
                let _ = writeln!(text, "  export type {ty} = {};", self.kind(def));
            }
        }
        text
    }

    fn members(&self, resource: TypeId, interface: &Interface) -> String {
        let mut text = String::new();
        let mut constructed = false;
        for function in interface.functions.values() {
            let (of, prefix) = match function.kind {
                FunctionKind::Method(id) => (id, ""),
                FunctionKind::Static(id) => (id, "static "),
                FunctionKind::Constructor(id) => (id, "constructor"),
                _ => continue,
            };
            if of != resource {
                continue;
            }
            text.push_str(&self.comment_of(function, "    ", false));
            let parameters = self.parameters(function);
            if prefix == "constructor" {
                constructed = true;
                let _ = writeln!(text, "    constructor({parameters});");
                continue;
            }
            let name = function.item_name().to_lower_camel_case();
            let _ = writeln!(text, "    {prefix}{name}({parameters}): {};", self.returned(function));
        }
        if !constructed {
            text.insert_str(0, "    private constructor();\n");
        }
        text
    }

    /// The parameters, but for the `self` of a method.
    fn parameters(&self, function: &Function) -> String {
        let skip = usize::from(matches!(function.kind, FunctionKind::Method(_)));
        let parameters = function.params.iter().skip(skip);
        let parameters: Vec<String> = parameters
            .map(|param| {
                let mark = if self.is_option(&param.ty) { "?" } else { "" };
                format!("{}{mark}: {}", param.name.to_lower_camel_case(), self.ty(&param.ty))
            })
            .collect();
        parameters.join(", ")
    }

    /// What it returns where it does not throw.
    fn returned(&self, function: &Function) -> String {
        let Some(ty) = &function.result else { return "void".into() };
        if let Type::Id(id) = ty
            && let Some(TypeDefKind::Result(result)) = self.resolve.types.get(*id).map(|def| &def.kind)
        {
            return result.ok.as_ref().map_or_else(|| "void".to_owned(), |ok| self.ty(ok));
        }
        self.ty(ty)
    }

    /// The comment, with what is thrown.
    fn comment_of(&self, function: &Function, indent: &str, exported: bool) -> String {
        let mut docs = function.docs.contents.clone().unwrap_or_default();
        let result = function.result.as_ref().and_then(|ty| match ty {
            Type::Id(id) => self.resolve.types.get(*id),
            _ => None,
        });
        if let Some(TypeDefKind::Result(result)) = result.map(|def| &def.kind)
            && let Some(err) = &result.err
        {
            let err = self.ty(err);
            let throws = match exported {
                true => format!(
                    "\n\nWhat it throws becomes a `{err}`: see `temporary` and `permanent` in belfry.js."
                ),
                false => format!("\n\n@throws an Error with a `{err}` as `payload`"),
            };
            docs.push_str(&throws);
        }
        comment(&Docs { contents: Some(docs).filter(|docs| !docs.is_empty()) }, indent)
    }

    fn owner(&self, id: TypeId) -> Option<InterfaceId> {
        match self.resolve.types.get(id)?.owner {
            TypeOwner::Interface(id) => Some(id),
            _ => None,
        }
    }

    fn type_name(&self, id: TypeId) -> String {
        let name = self.resolve.types.get(id).and_then(|def| def.name.as_deref());
        name.unwrap_or("unknown").to_upper_camel_case()
    }

    fn is_option(&self, ty: &Type) -> bool {
        match ty {
            Type::Id(id) => match self.resolve.types.get(*id).map(|def| &def.kind) {
                Some(TypeDefKind::Option(_)) => true,
                Some(TypeDefKind::Type(ty)) => self.is_option(ty),
                _ => false,
            },
            _ => false,
        }
    }

    fn ty(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "boolean".into(),
            Type::Char | Type::String => "string".into(),
            Type::Id(id) => match self.resolve.types.get(*id) {
                Some(def) if def.name.is_some() => self.type_name(*id),
                Some(def) => self.kind(def),
                None => "unknown".into(),
            },
            Type::ErrorContext => "unknown".into(),
            _ => "number".into(),
        }
    }

    /// A type without a name of its own.
    fn kind(&self, def: &TypeDef) -> String {
        match &def.kind {
            TypeDefKind::Type(ty) => self.ty(ty),
            TypeDefKind::Option(ty) => format!("{} | null", self.ty(ty)),
            TypeDefKind::List(Type::U8) => "Uint8Array".into(),
            TypeDefKind::List(ty) => {
                let item = self.ty(ty);
                if item.contains(' ') { format!("({item})[]") } else { format!("{item}[]") }
            }
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<String> = tuple.types.iter().map(|ty| self.ty(ty)).collect();
                format!("[{}]", types.join(", "))
            }
            TypeDefKind::Result(result) => {
                let side = |tag: &str, ty: &Option<Type>| match ty {
                    Some(ty) => format!("{{ tag: \"{tag}\"; val: {} }}", self.ty(ty)),
                    None => format!("{{ tag: \"{tag}\" }}"),
                };
                format!("{} | {}", side("ok", &result.ok), side("err", &result.err))
            }
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => self.type_name(*id),
            _ => "unknown".into(),
        }
    }
}

/// A doc comment, or nothing.
fn comment(docs: &Docs, indent: &str) -> String {
    let Some(text) = docs.contents.as_deref() else { return String::new() };
    let text = text.trim().replace("*/", "*\u{200b}/");
    let mut lines = text.lines();
    match (lines.next(), lines.next()) {
        (Some(only), None) => format!("{indent}/** {only} */\n"),
        (Some(_), Some(_)) => {
            let mut block = format!("{indent}/**\n");
            for line in text.lines() {
                let line = format!("{indent} * {line}");
                let _ = writeln!(block, "{}", line.trim_end());
            }
            let _ = writeln!(block, "{indent} */");
            block
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::read_world;

    /// The template's `wit/world.d.ts` is there before the first build. Set `UPDATE_TEMPLATES` to write it.
    #[test]
    fn the_templates_declarations_are_those_of_its_world() {
        let dir = tempfile::tempdir().unwrap();
        crate::new_project(dir.path(), "notes", crate::Language::JavaScript).unwrap();
        let (resolve, world) = read_world(&dir.path().join("wit")).unwrap();
        let text = declarations(&resolve, world);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/templates/javascript/world.d.ts");
        if std::env::var_os("UPDATE_TEMPLATES").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap() == text,
            "{path} differs: run this test with UPDATE_TEMPLATES=1"
        );
    }
}
