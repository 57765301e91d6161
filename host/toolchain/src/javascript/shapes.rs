//! What the world says of the handlers, as data for `guard.js`: which functions there must be, and what they may return.

use std::collections::HashMap;

use heck::ToLowerCamelCase;
use serde_json::{Map, Value, json};
use wit_parser::{FunctionKind, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem};

/// The exported interfaces with their functions, `{ messageHandler: { onMessage: { result, fails } } }`, and the types that the
/// numbers in them stand for. `result` is the type to return, `fails` that of a failure; null is none.
pub(super) fn exports(resolve: &Resolve, world: WorldId) -> (Value, Value) {
    let mut shapes = Shapes { resolve, seen: HashMap::new(), types: Vec::new() };
    let mut exports = Map::new();
    let items = resolve.worlds.get(world).into_iter().flat_map(|world| world.exports.values());
    for item in items {
        let WorldItem::Interface { id, .. } = item else { continue };
        let Some(interface) = resolve.interfaces.get(*id) else { continue };
        let mut functions = Map::new();
        for (name, function) in &interface.functions {
            if !matches!(function.kind, FunctionKind::Freestanding) {
                continue;
            }
            let (result, fails) = shapes.returned(function.result.as_ref());
            functions.insert(name.to_lower_camel_case(), json!({ "result": result, "fails": fails }));
        }
        let name = interface.name.as_deref().unwrap_or_default();
        exports.insert(name.to_lower_camel_case(), Value::Object(functions));
    }
    (Value::Object(exports), Value::Array(shapes.types))
}

struct Shapes<'a> {
    resolve: &'a Resolve,
    seen: HashMap<TypeId, usize>,
    types: Vec<Value>,
}

impl Shapes<'_> {
    /// What is returned, and what a failure is. Only a `result` that is all of the return type fails by throwing.
    fn returned(&mut self, result: Option<&Type>) -> (Value, Value) {
        if let Some(Type::Id(id)) = result
            && let Some(def) = self.resolve.types.get(*id)
            && let TypeDefKind::Result(result) = &def.kind
        {
            // A function that may fail, but with nothing to say, still fails: by an empty text.
            let fails = result.err.as_ref().map_or(json!("nothing"), |err| self.number(err));
            return (self.optional(result.ok.as_ref()), fails);
        }
        (self.optional(result), Value::Null)
    }

    fn optional(&mut self, ty: Option<&Type>) -> Value {
        ty.map_or(Value::Null, |ty| self.number(ty))
    }

    /// The name of a simple type, or the number of another.
    fn number(&mut self, ty: &Type) -> Value {
        let Type::Id(id) = ty else {
            return json!(match ty {
                Type::Bool => "bool",
                Type::U8 => "u8",
                Type::U16 => "u16",
                Type::U32 => "u32",
                Type::U64 => "u64",
                Type::S8 => "s8",
                Type::S16 => "s16",
                Type::S32 => "s32",
                Type::S64 => "s64",
                Type::F32 => "f32",
                Type::F64 => "f64",
                Type::Char => "char",
                Type::String => "string",
                _ => "any",
            });
        };
        if let Some(number) = self.seen.get(id) {
            return json!(number);
        }
        let Some(def) = self.resolve.types.get(*id) else { return json!("any") };
        if let TypeDefKind::Type(ty) = &def.kind {
            return self.number(ty);
        }
        let number = self.types.len();
        self.seen.insert(*id, number);
        self.types.push(Value::Null);
        let shape = self.shape(&def.kind);
        if let Some(place) = self.types.get_mut(number) {
            *place = shape;
        }
        json!(number)
    }

    fn shape(&mut self, kind: &TypeDefKind) -> Value {
        match kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                let fields: Vec<Value> = fields
                    .map(|field| json!([field.name.to_lower_camel_case(), self.number(&field.ty)]))
                    .collect();
                json!({ "record": fields })
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter();
                let cases: Vec<Value> =
                    cases.map(|case| json!([case.name, self.optional(case.ty.as_ref())])).collect();
                json!({ "variant": cases })
            }
            TypeDefKind::Enum(all) => {
                json!({ "cases": all.cases.iter().map(|case| &case.name).collect::<Vec<_>>() })
            }
            TypeDefKind::Option(ty) => json!({ "option": self.number(ty) }),
            TypeDefKind::List(ty) => json!({ "items": self.number(ty) }),
            TypeDefKind::Tuple(tuple) => {
                json!({ "tuple": tuple.types.iter().map(|ty| self.number(ty)).collect::<Vec<_>>() })
            }
            // Handles, flags and nested results: the engine checks them.
            _ => json!({}),
        }
    }
}
