package belfry

import (
	handler "{{bindings}}/exports/export_belfry_bot_describe"
	_ "{{bindings}}/exports/wit_exports"
	"{{bindings}}/imports/belfry_bot_describe"
)

// What a plugin says about itself.
type (
	Description = belfry_bot_describe.Info
	CommandInfo = belfry_bot_describe.Command
)

// Describe says what the plugin is. Call it in an init function.
func Describe(plugin Description) {
	handler.Register_Describe(func() Description { return plugin })
}
