// Package types holds what WIT has and Go has not. Written by `belfry build`.
package types

// The tags of an Option.
const (
	OptionNone uint8 = iota
	OptionSome
)

// Option is a value that may be missing. Its zero value is none.
type Option[T any] struct {
	some  bool
	value T
}

// Some is a value that is there.
func Some[T any](value T) Option[T] { return Option[T]{some: true, value: value} }

// None is no value.
func None[T any]() Option[T] { return Option[T]{} }

// Tag is OptionNone or OptionSome.
func (o Option[T]) Tag() uint8 {
	if o.some {
		return OptionSome
	}
	return OptionNone
}

// IsSome tells whether there is a value.
func (o Option[T]) IsSome() bool { return o.some }

// IsNone tells whether there is no value.
func (o Option[T]) IsNone() bool { return !o.some }

// Some is the value; it panics if there is none.
func (o Option[T]) Some() T {
	if !o.some {
		panic("an option without a value was asked for it")
	}
	return o.value
}

// SomeOr is the value, or otherwise.
func (o Option[T]) SomeOr(otherwise T) T {
	if o.some {
		return o.value
	}
	return otherwise
}

// The tags of a Result.
const (
	ResultOk uint8 = iota
	ResultErr
)

// Result is a value or an error.
type Result[T, E any] struct {
	failed bool
	ok     T
	err    E
}

// Ok is a value.
func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{ok: value} }

// Err is an error.
func Err[T, E any](err E) Result[T, E] { return Result[T, E]{failed: true, err: err} }

// Tag is ResultOk or ResultErr.
func (r Result[T, E]) Tag() uint8 {
	if r.failed {
		return ResultErr
	}
	return ResultOk
}

// IsOk tells whether it is a value.
func (r Result[T, E]) IsOk() bool { return !r.failed }

// IsErr tells whether it is an error.
func (r Result[T, E]) IsErr() bool { return r.failed }

// Ok is the value; it panics if it is an error.
func (r Result[T, E]) Ok() T {
	if r.failed {
		panic("a result that is an error was asked for its value")
	}
	return r.ok
}

// Err is the error; it panics if it is a value.
func (r Result[T, E]) Err() E {
	if !r.failed {
		panic("a result that is a value was asked for its error")
	}
	return r.err
}

// Unit is nothing, as the value of a Result.
type Unit struct{}

// Tuple1 is a tuple of one.
type Tuple1[A any] struct{ F0 A }

// Tuple2 is a pair.
type Tuple2[A, B any] struct {
	F0 A
	F1 B
}

// Tuple3 is a triple.
type Tuple3[A, B, C any] struct {
	F0 A
	F1 B
	F2 C
}

// Tuple4 is a tuple of four.
type Tuple4[A, B, C, D any] struct {
	F0 A
	F1 B
	F2 C
	F3 D
}
