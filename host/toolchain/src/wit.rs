//! Belfry's WIT, held in this program and written into new projects.

use crate::template::File;

macro_rules! wit {
    ($($path:literal => $source:literal),* $(,)?) => {
        &[$(File { path: $path, text: include_str!(concat!("../../../wit/", $source)) }),*]
    };
}

/// Everything a project's own `wit/world.wit` refers to, with the paths that it has in a project.
pub(crate) const FILES: &[File] = wit! {
    "wit/deps/belfry-bot/action-handler.wit" => "action-handler.wit",
    "wit/deps/belfry-bot/chat.wit" => "chat.wit",
    "wit/deps/belfry-bot/describe.wit" => "describe.wit",
    "wit/deps/belfry-bot/event-handler.wit" => "event-handler.wit",
    "wit/deps/belfry-bot/fetch.wit" => "fetch.wit",
    "wit/deps/belfry-bot/host.wit" => "host.wit",
    "wit/deps/belfry-bot/message-handler.wit" => "message-handler.wit",
    "wit/deps/belfry-bot/resident.wit" => "resident.wit",
    "wit/deps/belfry-bot/transform.wit" => "transform.wit",
    "wit/deps/belfry-bot/types.wit" => "types.wit",
    "wit/deps/belfry-bot/worlds.wit" => "worlds.wit",
    "wit/deps/wasi-config/store.wit" => "deps/wasi-config/store.wit",
    "wit/deps/wasi-keyvalue/atomics.wit" => "deps/wasi-keyvalue/atomics.wit",
    "wit/deps/wasi-keyvalue/batch.wit" => "deps/wasi-keyvalue/batch.wit",
    "wit/deps/wasi-keyvalue/store.wit" => "deps/wasi-keyvalue/store.wit",
    "wit/deps/wasi-logging/logging.wit" => "deps/wasi-logging/logging.wit",
};

/// The world of a new project, `wit/world.wit`.
pub(crate) const WORLD: File = File { path: "wit/world.wit", text: include_str!("../templates/world.wit") };

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_wit_is_held() {
        fn collect(dir: &Path, found: &mut BTreeSet<String>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => collect(&path, found),
                    false => drop(found.insert(std::fs::read_to_string(path).unwrap())),
                }
            }
        }
        let mut there = BTreeSet::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"), &mut there);
        let held: BTreeSet<String> = FILES.iter().map(|file| file.text.to_owned()).collect();
        assert_eq!(held, there, "add the new file to `FILES`, and build again");
    }
}
