//! `host`: what the host knows about itself.

use crate::PluginInfo;
use crate::bindings::belfry::bot::host;
use crate::state::State;

impl host::Host for State {
    fn plugins(&mut self) -> Vec<PluginInfo> {
        self.context.plugins.to_vec()
    }
}
