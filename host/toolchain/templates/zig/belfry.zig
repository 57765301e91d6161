//! Makes the generated bindings (`c`, from `wit/`) easier to use. Written by `belfry build`.
//!
//! Every message is handled in a fresh instance whose memory is thrown away afterwards: nothing here needs to be freed.

const std = @import("std");
const c = @import("c");

pub const allocator = std.heap.c_allocator;

pub const Message = c.exports_belfry_bot_message_handler_message_t;
pub const Outcome = c.exports_belfry_bot_message_handler_outcome_t;
pub const Failure = c.exports_belfry_bot_message_handler_failure_t;

/// What a handler may end with; `Temporary` is tried again. `reason` says more.
pub const Error = error{ Temporary, Permanent, OutOfMemory };

/// The reason of the last error.
pub var reason: []const u8 = "";

fn fail(comptime kind: Error, why: []const u8) Error {
    reason = why;
    return kind;
}

/// Ends the handler for good, with this reason.
pub fn permanent(comptime format: []const u8, arguments: anytype) Error {
    return fail(error.Permanent, try print(format, arguments));
}

/// Ends the handler; the host tries again.
pub fn temporary(comptime format: []const u8, arguments: anytype) Error {
    return fail(error.Temporary, try print(format, arguments));
}

/// A text, made as by `std.fmt`.
pub fn print(comptime format: []const u8, arguments: anytype) error{OutOfMemory}![]u8 {
    return std.fmt.allocPrint(allocator, format, arguments);
}

/// The bytes of a string of the bindings.
pub fn slice(of: c.bot_string_t) []const u8 {
    return if (of.len == 0) "" else of.ptr[0..of.len];
}

/// A text as a string of the bindings: a copy, which the host may take.
pub fn string(text: []const u8) c.bot_string_t {
    var made: c.bot_string_t = undefined;
    c.bot_string_dup_n(&made, text.ptr, text.len);
    return made;
}

/// The text of a text or markdown message; null for all others.
pub fn textOf(message: *const Message) ?[]const u8 {
    return switch (message.content.tag) {
        c.BELFRY_BOT_TYPES_CONTENT_TEXT => slice(message.content.val.text),
        c.BELFRY_BOT_TYPES_CONTENT_MARKDOWN => slice(message.content.val.markdown),
        else => null,
    };
}

const spaces = " \t\n\r\x0b\x0c";

/// The first word of a text, and the rest without white space at its ends.
pub fn word(text: []const u8) struct { []const u8, []const u8 } {
    const whole = std.mem.trim(u8, text, spaces);
    const end = std.mem.indexOfAny(u8, whole, spaces) orelse whole.len;
    return .{ whole[0..end], std.mem.trim(u8, whole[end..], spaces) };
}

/// What follows the command `name`, such as "/todo"; null if the text does not begin with it.
pub fn command(text: []const u8, name: []const u8) ?[]const u8 {
    const first, const rest = word(text);
    return if (std.mem.eql(u8, first, name)) rest else null;
}

/// What an answer is: null passes the message to the next plugin, a text is said.
pub const Answer = Error!?[]const u8;

/// Calls `handler` and hands on what it answers: the body of `exports_belfry_bot_message_handler_on_message`.
pub fn answer(message: *Message, outcome: *Outcome, failure: *Failure, handler: fn (*const Message) Answer) bool {
    const said = handler(message) catch |err| {
        const why = string(if (reason.len == 0) @errorName(err) else reason);
        if (err == error.Temporary) {
            failure.tag = c.BELFRY_BOT_TYPES_FAILURE_TEMPORARY;
            failure.val = .{ .temporary = why };
        } else {
            failure.tag = c.BELFRY_BOT_TYPES_FAILURE_PERMANENT;
            failure.val = .{ .permanent = why };
        }
        return false;
    };
    const text = said orelse {
        outcome.tag = c.BELFRY_BOT_TYPES_OUTCOME_PASS;
        return true;
    };
    const replies = allocator.alloc(c.belfry_bot_types_reply_t, 1) catch @panic("out of memory");
    replies[0] = std.mem.zeroes(c.belfry_bot_types_reply_t);
    replies[0].tag = c.BELFRY_BOT_TYPES_REPLY_TEXT;
    replies[0].val.text.text = string(text);
    outcome.tag = c.BELFRY_BOT_TYPES_OUTCOME_REPLY;
    outcome.val.reply.ptr = replies.ptr;
    outcome.val.reply.len = 1;
    return true;
}

pub const Level = enum(u8) { trace, debug, info, warn, @"error", critical };

/// Logs a line; `context` may be empty.
pub fn log(level: Level, context: []const u8, comptime format: []const u8, arguments: anytype) void {
    var subject = string(context);
    var line = string(print(format, arguments) catch return);
    c.wasi_logging_logging_log(@intFromEnum(level), &subject, &line);
}

/// A setting of the plugin's `config`; null where it is not set.
pub fn config(key: []const u8) ?[]const u8 {
    var name = string(key);
    var value: c.bot_option_string_t = undefined;
    var err: c.wasi_config_store_error_t = undefined;
    if (!c.wasi_config_store_get(&name, &value, &err) or !value.is_some) return null;
    return slice(value.val);
}

/// The plugin's key-values, in the default bucket.
pub const kv = struct {
    fn refused(err: c.wasi_keyvalue_store_error_t) Error {
        return fail(error.Temporary, switch (err.tag) {
            c.WASI_KEYVALUE_STORE_ERROR_OTHER => slice(err.val.other),
            c.WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED => "this call may not use key-values",
            else => "there is no such bucket",
        });
    }

    /// The default bucket, opened once for each instance.
    var opened: ?c.wasi_keyvalue_store_own_bucket_t = null;

    fn open() Error!c.wasi_keyvalue_store_borrow_bucket_t {
        if (opened) |bucket| return c.wasi_keyvalue_store_borrow_bucket(bucket);
        var name = string("");
        var own: c.wasi_keyvalue_store_own_bucket_t = undefined;
        var err: c.wasi_keyvalue_store_error_t = undefined;
        if (!c.wasi_keyvalue_store_open(&name, &own, &err)) return refused(err);
        opened = own;
        return c.wasi_keyvalue_store_borrow_bucket(own);
    }

    /// The value of a key; null if it has none.
    pub fn get(key: []const u8) Error!?[]const u8 {
        const bucket = try open();
        var name = string(key);
        var value: c.bot_option_list_u8_t = undefined;
        var err: c.wasi_keyvalue_store_error_t = undefined;
        if (!c.wasi_keyvalue_store_method_bucket_get(bucket, &name, &value, &err)) return refused(err);
        if (!value.is_some) return null;
        return if (value.val.len == 0) "" else value.val.ptr[0..value.val.len];
    }

    /// Sets a key.
    pub fn set(key: []const u8, value: []const u8) Error!void {
        const bucket = try open();
        var name = string(key);
        var bytes: c.bot_list_u8_t = .{ .ptr = @constCast(value.ptr), .len = value.len };
        var err: c.wasi_keyvalue_store_error_t = undefined;
        if (!c.wasi_keyvalue_store_method_bucket_set(bucket, &name, &bytes, &err)) return refused(err);
    }

    /// Deletes a key; one that is not there is no error.
    pub fn delete(key: []const u8) Error!void {
        const bucket = try open();
        var name = string(key);
        var err: c.wasi_keyvalue_store_error_t = undefined;
        if (!c.wasi_keyvalue_store_method_bucket_delete(bucket, &name, &err)) return refused(err);
    }

    /// Adds to a number, safely while other messages are handled, and returns the sum.
    pub fn increment(key: []const u8, delta: i64) Error!i64 {
        const bucket = try open();
        var name = string(key);
        var sum: i64 = undefined;
        var err: c.wasi_keyvalue_store_error_t = undefined;
        if (!c.wasi_keyvalue_atomics_increment(bucket, &name, delta, &sum, &err)) return refused(err);
        return sum;
    }
};

pub const Response = struct { status: u16, body: []const u8 };

/// Sends a request without headers and waits for the response, whatever its status.
pub fn fetch(method: []const u8, url: []const u8, body: ?[]const u8) Error!Response {
    var request = std.mem.zeroes(c.belfry_bot_fetch_request_t);
    request.method = string(method);
    request.url = string(url);
    if (body) |bytes| {
        request.body.is_some = true;
        request.body.val = .{ .ptr = @constCast(bytes.ptr), .len = bytes.len };
    }
    var response: c.belfry_bot_fetch_response_t = undefined;
    var err: c.belfry_bot_fetch_error_t = undefined;
    // All cases of the error hold one string.
    if (!c.belfry_bot_fetch_fetch(&request, &response, &err)) return fail(error.Temporary, slice(err.val.failed));
    const bytes: []const u8 = if (response.body.len == 0) "" else response.body.ptr[0..response.body.len];
    return .{ .status = response.status, .body = bytes };
}

pub const Command = struct { name: []const u8, help: []const u8 };
pub const Info = struct {
    name: []const u8,
    version: []const u8,
    description: []const u8,
    commands: []const Command = &.{},
    help: []const u8 = "",
};

/// Says what the plugin is: the body of `exports_belfry_bot_describe_describe`.
pub fn describe(to: *c.exports_belfry_bot_describe_info_t, info: Info) void {
    const commands = allocator.alloc(c.exports_belfry_bot_describe_command_t, info.commands.len) catch @panic("out of memory");
    for (commands, info.commands) |*place, it| place.* = .{ .name = string(it.name), .help = string(it.help) };
    to.* = .{
        .name = string(info.name),
        .version = string(info.version),
        .description = string(info.description),
        .commands = .{ .ptr = commands.ptr, .len = commands.len },
        .help = string(info.help),
    };
}
