//! From a core module to a component.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding};

use crate::BuildError;
use crate::project::Project;

/// Makes a component of a core module that was compiled against `wasi_snapshot_preview1`, or against no WASI at all. The module
/// need not hold its component type: the project's world is put into it.
pub(crate) fn encode(project: &Project, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let encode = || -> anyhow::Result<Vec<u8>> {
        let mut module = module.to_vec();
        wit_component::embed_component_metadata(
            &mut module,
            &project.resolve,
            project.world,
            StringEncoding::UTF8,
            false,
        )?;
        ComponentEncoder::default()
            .module(&module)?
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
            .validate(true)
            .encode()
    };
    encode().map_err(|error| BuildError::World {
        dir: project.dir.clone(),
        reason: format!("the compiled module does not fit `wit/world.wit`: {error:#}"),
    })
}
