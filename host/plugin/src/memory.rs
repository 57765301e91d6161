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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_memories_grow_to_their_limits() {
        let text = r#"(module
            (table $t 1 funcref)
            (memory 1)
            (func (export "tables") (result i32)
                (loop $more
                    (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
                (table.size $t))
            (func (export "pages") (result i32)
                (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                (memory.size)))"#;
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let mut store = wasmtime::Store::new(&engine, MemoryLimit::new(1 << 20));
        store.limiter(|limit| limit);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let mut ask = |name: &str| {
            instance.get_typed_func::<(), i32>(&mut store, name).unwrap().call(&mut store, ()).unwrap()
        };
        assert_eq!(ask("tables"), 65_001);
        assert_eq!(ask("pages"), 16);
        assert_eq!(store.data().refused, Some((1 << 20) + (64 << 10)));
    }
}
