// Package runtime is what the generated bindings stand on: memory that the host writes into, and handles of its resources.
// Written by `belfry build`.
package runtime

import (
	"runtime"
	"unsafe"
)

// Allocate makes memory that neither moves nor goes away until the pinner lets go of it. It holds no pointers of Go.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	var pointer unsafe.Pointer
	if align > 4 {
		pointer = unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	} else if align > 1 {
		pointer = unsafe.Pointer(unsafe.SliceData(make([]uint32, (size+3)/4)))
	} else {
		pointer = unsafe.Pointer(unsafe.SliceData(make([]byte, size)))
	}
	pinner.Pin(pointer)
	return pointer
}

// What the host wrote and the bindings have not read yet.
var written runtime.Pinner

// Unpin lets go of what the host wrote: from then on only those keep it who refer to it.
func Unpin() { written.Unpin() }

// Whether Go's own allocator may be used. The host calls cabi_realloc before Go has started, too.
var started bool

func init() { started = true }

//go:linkname sbrk runtime.sbrk
func sbrk(size uintptr) unsafe.Pointer

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

// The host asks for memory by this function. It must not call the host back while it runs, but a garbage collection asks for the
// time. So none may begin here (procPin), and the adapter gives the time from memory (pauseClock).
//
//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if !started {
		room := uintptr(sbrk(size + align))
		return unsafe.Pointer((room + align - 1) &^ (align - 1))
	}
	procPin()
	pauseClock(true)
	pointer := Allocate(&written, size, align)
	if old != nil && pointer != nil {
		copy(unsafe.Slice((*byte)(pointer), size), unsafe.Slice((*byte)(old), oldSize))
	}
	pauseClock(false)
	procUnpin()
	return pointer
}

// Handle is a resource of the host.
type Handle struct{ value int32 }

// MakeHandle takes over a handle.
func MakeHandle(value int32) *Handle { return &Handle{value} }

// Use is the handle, kept.
func (h *Handle) Use() int32 {
	if h.value == 0 {
		panic("a resource was used after it was given away or dropped")
	}
	return h.value
}

// Take is the handle, given away.
func (h *Handle) Take() int32 {
	value := h.Use()
	h.value = 0
	return value
}

// TakeOrNil is the handle, given away, or 0.
func (h *Handle) TakeOrNil() int32 {
	value := h.value
	h.value = 0
	return value
}

// Set puts a handle into an empty one.
func (h *Handle) Set(value int32) {
	if h.value != 0 {
		panic("a resource has a handle already")
	}
	h.value = value
}
