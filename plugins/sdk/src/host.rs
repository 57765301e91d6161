//! What the host knows about itself.

use crate::types::PluginInfo;

/// The plugins that the sender of the current message can reach, in the order in which they are asked; this one is among them.
pub fn plugins() -> Vec<PluginInfo> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::belfry::bot::host::plugins();
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::with(|world| world.plugins.clone())
}
