package belfry

import (
	"fmt"
	"runtime/debug"

	handler "{{bindings}}/exports/export_belfry_bot_event_handler"
	_ "{{bindings}}/exports/wit_exports"
	"{{bindings}}/imports/belfry_bot_events"
	"{{bindings}}/imports/belfry_bot_types"
	"{{bindings}}/wit/types"
)

// OnEvent says what handles events. Call it in an init function. A panic in it fails the event for good, with the panic and its
// stack as the reason.
func OnEvent(handle func(event belfry_bot_events.Event) ([]belfry_bot_events.Effect, error)) {
	type effects = []belfry_bot_events.Effect
	handler.Register_OnEvent(func(event belfry_bot_events.Event) (result types.Result[effects, belfry_bot_types.Failure]) {
		defer func() {
			if panicked := recover(); panicked != nil {
				reason := fmt.Sprintf("panic: %v\n%s", panicked, debug.Stack())
				result = types.Err[effects](belfry_bot_types.MakeFailurePermanent(reason))
			}
		}()
		done, err := handle(event)
		if err != nil {
			return types.Err[effects](Failure(err))
		}
		return types.Ok[effects, belfry_bot_types.Failure](done)
	})
}
