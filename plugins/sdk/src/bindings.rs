//! Everything a plugin may import, as `wit/` has it. These functions work in WebAssembly only; the other modules of this crate
//! work in tests too.

#![allow(missing_docs, clippy::all, clippy::restriction, reason = "generated")]

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package belfry:sdk;
        world sdk {
            include belfry:bot/imports@0.1.0;
            import belfry:bot/events@0.1.0;
        }
    ",
    world: "belfry:sdk/sdk",
    generate_all,
    generate_unused_types: true,
    additional_derives: [PartialEq, Eq],
    additional_derives_ignore: ["cas-error"],
});
