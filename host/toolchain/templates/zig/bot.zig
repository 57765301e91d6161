//! Remembers one text for each conversation: `/{{name}} TEXT` sets it, `/{{name}}` shows it.

const belfry = @import("belfry");
const c = @import("c");

fn answer(message: *const belfry.Message) belfry.Answer {
    const text = belfry.textOf(message) orelse return null;
    const rest = belfry.command(text, "/{{name}}") orelse return null;
    const key = belfry.slice(message.conversation.id);
    if (rest.len > 0) {
        try belfry.kv.set(key, rest);
        return "Noted.";
    }
    return try belfry.kv.get(key) orelse belfry.config("empty") orelse "Nothing noted yet. Write /{{name}} TEXT.";
}

export fn exports_belfry_bot_message_handler_on_message(
    message: *belfry.Message,
    outcome: *belfry.Outcome,
    failure: *belfry.Failure,
) bool {
    return belfry.answer(message, outcome, failure, answer);
}

export fn exports_belfry_bot_describe_describe(info: *c.exports_belfry_bot_describe_info_t) void {
    belfry.describe(info, .{
        .name = "{{name}}",
        .version = "0.1.0",
        .description = "Remembers a text",
        .commands = &.{.{ .name = "/{{name}}", .help = "Remembers a text" }},
    });
}
