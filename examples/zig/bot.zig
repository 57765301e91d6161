//! Keeps notes: the bot of ../CONVERSATION.md, in Zig.

const std = @import("std");
const belfry = @import("belfry");
const c = @import("c");

fn answer(message: *const belfry.Message) belfry.Answer {
    const text = belfry.textOf(message) orelse return null;
    const number = try belfry.kv.increment("count", 1);
    const nick = belfry.slice(message.sender.nick);
    belfry.log(.info, "notes", "message {d} from {s}", .{ number, nick });

    const command = belfry.command(text, "/note") orelse {
        const greeting = belfry.config("greeting") orelse "Hello";
        return try belfry.print("{s}, {s}! This is message {d}.", .{ greeting, nick, number });
    };
    const word, const rest = belfry.word(command);
    const key = try belfry.print("notes/{s}", .{belfry.slice(message.conversation.id)});
    if (std.mem.eql(u8, word, "add")) return try add(key, rest);
    if (std.mem.eql(u8, word, "list")) return try list(key);
    if (std.mem.eql(u8, word, "fetch")) return try fetch();
    // Ends the message as a permanent failure with these words.
    if (std.mem.eql(u8, word, "crash")) @panic("crashed as asked");
    return "I know /note add TEXT, /note list and /note fetch.";
}

fn add(key: []const u8, text: []const u8) belfry.Error![]const u8 {
    if (text.len == 0) return "What shall I note? Write /note add TEXT.";
    const note = try belfry.allocator.dupe(u8, text);
    std.mem.replaceScalar(u8, note, '\n', ' ');
    const notes = try belfry.print("{s}{s}\n", .{ try belfry.kv.get(key) orelse "", note });
    try belfry.kv.set(key, notes);
    const count = std.mem.count(u8, notes, "\n");
    return belfry.print("Noted: {s} ({d} note{s})", .{ note, count, if (count == 1) "" else "s" });
}

fn list(key: []const u8) belfry.Error![]const u8 {
    const notes = try belfry.kv.get(key) orelse return "No notes yet.";
    var said: []const u8 = "";
    var number: usize = 1;
    var lines = std.mem.tokenizeScalar(u8, notes, '\n');
    while (lines.next()) |line| : (number += 1) {
        said = try belfry.print("{s}{s}{d}. {s}", .{ said, if (number == 1) "" else "\n", number, line });
    }
    return said;
}

fn fetch() belfry.Error![]const u8 {
    const url = belfry.config("url") orelse return "Set url in the config first.";
    const page = belfry.fetch("GET", url, null) catch {
        belfry.log(.warn, "notes", "the page: {s}", .{belfry.reason});
        return "I cannot reach the page.";
    };
    if (page.status != 200) return belfry.print("The page answered {d}.", .{page.status});
    var lines = std.mem.splitScalar(u8, page.body, '\n');
    return belfry.print("The page says: {s}", .{lines.first()});
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
        .name = "notes",
        .version = "0.1.0",
        .description = "Keeps notes",
        .commands = &.{
            .{ .name = "/note", .help = "Notes: add TEXT, list, fetch" },
            .{ .name = "/hello", .help = "Greets" },
        },
    });
}
