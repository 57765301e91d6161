//! What `wit/` looks like from Rust, generated at compile time.

#![expect(
    missing_docs,
    reason = "the generator writes no docs for its own glue; the records carry those of wit/"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "belfry:bot/bot",
    exports: { default: async },
    additional_derives: [Clone, PartialEq],
});
