//! `wasi:config`: the plugin's own settings.

use crate::bindings::wasi::config::store;
use crate::state::State;

impl store::Host for State {
    fn get(&mut self, key: String) -> Result<Option<String>, store::Error> {
        Ok(self.spec.config.get(&key).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, store::Error> {
        Ok(self.spec.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
