//! The JSON Schema of the config file, generated from the types in [`super::file`].

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use super::file::ConfigFile;

/// The JSON Schema of `belfry.toml` as pretty-printed text with a final newline: the content of
/// `host/belfry/belfry.schema.json`.
#[must_use]
pub fn schema() -> String {
    format!("{:#}\n", value())
}

/// The same as a value.
pub(super) fn value() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<ConfigFile>()
        .to_value();
    // The order must not depend on which features of serde_json another crate switches on.
    schema.sort_all_objects();
    schema
}

/// TOML has no null: an optional key is one that may be missing.
fn without_null(schema: &mut schemars::Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let only = match object.get_mut("anyOf") {
        Some(Value::Array(choices)) => {
            choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
            match choices.as_slice() {
                [Value::Object(only)] => Some(only.clone()),
                _ => None,
            }
        }
        _ => None,
    };
    if let Some(only) = only {
        object.remove("anyOf");
        object.extend(only);
    }
}
