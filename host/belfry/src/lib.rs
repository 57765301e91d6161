//! The `belfry` command line: reads the config, wires the crates of the workspace together, reports.
//!
//! - `building`: running a build and telling how it goes
//! - [`cli`]: the commands, their arguments and exit codes
//! - [`commands`]: what each of them does
//! - [`config`]: `belfry.toml`, its JSON Schema, and what is said when it is wrong
//! - [`control`]: how commands look into a journal, through the running host or in its files
//! - `convert`: from the config's types to those of the other crates
//! - [`dev`]: `belfry dev`
//! - [`doctor`]: `belfry channel doctor`
//! - [`logging`]: log lines for people and for machines
//! - `package`: plugins as packages, in files and in registries
//! - [`run`]: `belfry run`
//! - `signals`: Ctrl-C, SIGTERM and the terminal being closed
//! - [`testing`]: `belfry test`
//! - [`wiring`]: from the config to a running host

mod building;
pub mod cli;
pub mod commands;
pub mod config;
mod console;
pub mod control;
mod convert;
pub mod dev;
pub mod doctor;
pub mod logging;
mod package;
pub mod run;
mod signals;
pub mod testing;
pub mod wiring;
