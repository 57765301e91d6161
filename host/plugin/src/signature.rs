//! A function's type in short, for error messages.

use std::fmt;

use wasmtime::component::Type;
use wasmtime::component::types::ComponentFunc;

/// A function's type down to the first level: records and variants are not opened, since a component does not keep
/// their names.
pub(crate) struct Signature<'a>(pub(crate) &'a ComponentFunc);

impl fmt::Display for Signature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("func(")?;
        for (index, (_, ty)) in self.0.params().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", Short(&ty))?;
        }
        f.write_str(")")?;
        for ty in self.0.results() {
            write!(f, " -> {}", Short(&ty))?;
        }
        Ok(())
    }
}

struct Short<'a>(&'a Type);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            Type::List(list) => return write!(f, "list<{}>", Short(&list.ty())),
            Type::Option(option) => return write!(f, "option<{}>", Short(&option.ty())),
            Type::Result(result) => {
                let part = |ty: Option<Type>| ty.map_or("_".to_owned(), |ty| Short(&ty).to_string());
                return write!(f, "result<{}, {}>", part(result.ok()), part(result.err()));
            }
            Type::Bool => "bool",
            Type::S8 => "s8",
            Type::U8 => "u8",
            Type::S16 => "s16",
            Type::U16 => "u16",
            Type::S32 => "s32",
            Type::U32 => "u32",
            Type::S64 => "s64",
            Type::U64 => "u64",
            Type::Float32 => "f32",
            Type::Float64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::Map(_) => "map",
            Type::Record(_) => "record",
            Type::Tuple(_) => "tuple",
            Type::Variant(_) => "variant",
            Type::Enum(_) => "enum",
            Type::Flags(_) => "flags",
            Type::Own(_) | Type::Borrow(_) => "resource",
            Type::Future(_) => "future",
            Type::Stream(_) => "stream",
            Type::ErrorContext => "error-context",
            Type::FixedLengthList(_) => "list",
        };
        f.write_str(name)
    }
}
