//! The `belfry` command line: reads the config, wires the crates of the workspace together, reports.
//!
//! - [`config`]: `belfry.toml`, its JSON Schema, and what is said when it is wrong.

pub mod config;
