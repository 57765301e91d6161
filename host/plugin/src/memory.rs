//! How much memory a store may have.

use wasmtime::ResourceLimiter;

/// Counts a store's linear memory and refuses more than the limit.
pub(crate) struct MemoryLimit {
    limit: u64,
    used: u64,
    /// What the guest would have had with the first growth that was refused.
    pub(crate) refused: Option<u64>,
}

impl MemoryLimit {
    pub(crate) fn new(limit: u64) -> Self {
        MemoryLimit { limit, used: 0, refused: None }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used.saturating_add(desired.saturating_sub(current) as u64);
        if total > self.limit {
            self.refused.get_or_insert(total);
            return Ok(false);
        }
        self.used = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= crate::host::MAX_TABLE)
    }

    // These three cost the host memory of its own. CPython's component, the most intricate one seen, has some 40
    // instances, one memory and two tables.
    fn instances(&self) -> usize {
        256
    }

    fn memories(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        64
    }
}
