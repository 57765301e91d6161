package belfry

import (
	"fmt"
	"runtime/debug"

	handler "{{bindings}}/exports/export_belfry_bot_message_handler"
	_ "{{bindings}}/exports/wit_exports"
	"{{bindings}}/imports/belfry_bot_types"
	"{{bindings}}/wit/types"
)

// OnMessage says what answers messages. Call it in an init function. A panic in it fails the message for good, with the panic and
// its stack as the reason.
func OnMessage(answer func(message Message) (Outcome, error)) {
	handler.Register_OnMessage(func(message Message) (result types.Result[Outcome, belfry_bot_types.Failure]) {
		defer func() {
			if panicked := recover(); panicked != nil {
				reason := fmt.Sprintf("panic: %v\n%s", panicked, debug.Stack())
				result = types.Err[Outcome](belfry_bot_types.MakeFailurePermanent(reason))
			}
		}()
		outcome, err := answer(message)
		if err != nil {
			return types.Err[Outcome](Failure(err))
		}
		return types.Ok[Outcome, belfry_bot_types.Failure](outcome)
	})
}
