//! What `wit/` looks like from Rust, generated at compile time.

#![expect(
    missing_docs,
    reason = "the generator writes no docs for its own glue; the records carry those of wit/"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "belfry:bot/all",
    imports: {
        "belfry:bot/fetch": async | trappable,
        "belfry:bot/chat": async | trappable,
        "belfry:bot/cards": async | trappable,
        "belfry:bot/live-card": async | trappable,
    },
    exports: { default: async },
    additional_derives: [Clone, PartialEq],
    with: {
        "wasi:keyvalue": key_value::wasi::keyvalue,
        "belfry:bot/live-card.card": crate::imports::live_card::LiveHandle,
    },
});

/// Apart from the others: a handle inside an error can be neither cloned nor compared.
pub mod key_value {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package belfry:host;
            world key-value {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
            }
        ",
        world: "belfry:host/key-value",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": crate::imports::key_value::Bucket,
            "wasi:keyvalue/atomics.cas": crate::imports::key_value::Cas,
        },
    });
}

/// The draft of `wasi:keyvalue` before the one in `wit/deps`.
pub mod key_value_draft {
    wasmtime::component::bindgen!({
        path: "wit-draft",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": crate::imports::key_value::Bucket },
    });
}
