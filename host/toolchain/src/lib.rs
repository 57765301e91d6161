//! Guest toolchains: from a template to a source folder ([`new_project`]), from a source folder to a component ([`build`]).
//!
//! [`build`] finds out which language the folder holds, makes sure of the tools, and runs them. It says what it does
//! as it goes, line by line, through a callback. Dropping its future stops the compiler and everything it started.
//! [`watch_paths`] says which files call for another build, [`check_world`] what a component lacks of what its WIT promises.
//!
//! - `language`: the languages, and how a folder shows its own
//! - `rust`, `c`, `go`, `zig`, `javascript`, `python`: one language each: its template, its tools, its build
//! - `template`, `wit`: the files of a new project, all of them in this program
//! - `project`, `component`, `world`: what the languages without a build tool of their own for components share
//! - `process`: running a tool and handing on what it says

mod build;
mod c;
mod component;
mod go;
mod javascript;
mod language;
mod process;
mod project;
mod python;
mod rust;
mod template;
mod watch;
mod wit;
mod world;
mod zig;

pub use build::{BuildError, Built, OnProgress, Options, Progress, build, build_with};
pub use language::{Language, UnknownLanguage};
pub use template::{NewError, new_project};
pub use watch::{WatchPaths, watch_paths};
pub use world::{WorldError, check_world};
