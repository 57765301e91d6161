//! The `belfry` command line: reads the config, wires the crates of the workspace together, reports.
//!
//! - [`cli`]: the commands, their arguments and exit codes
//! - [`commands`]: what each of them does
//! - [`config`]: `belfry.toml`, its JSON Schema, and what is said when it is wrong
//! - `convert`: from the config's types to those of the other crates
//! - [`doctor`]: `belfry channel doctor`
//! - [`logging`]: log lines for people and for machines

pub mod cli;
pub mod commands;
pub mod config;
mod convert;
pub mod doctor;
pub mod logging;
