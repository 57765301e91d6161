"""Keeps notes: the bot of `../CONVERSATION.md`, in Python."""

import logging

from belfry import PASS, FetchError, command, config, fetch, kv, reply, text_of
from wit_world.exports.describe import Command, Info
from wit_world.imports.types import Message, Outcome

log = logging.getLogger("notes")


class MessageHandler:
    def on_message(self, message: Message) -> Outcome:
        if text_of(message) is None:
            return PASS
        number = kv.increment("count")
        nick = message.sender.nick
        log.info("message %d from %s", number, nick)
        asked = command(message, "/note")
        if asked is None:
            return reply(f"{config('greeting', 'Hello')}, {nick}! This is message {number}.")
        word, rest = (asked.split(maxsplit=1) + ["", ""])[:2]
        key = f"notes/{message.conversation.id}"
        match word:
            case "add":
                return reply(add(key, rest))
            case "list":
                return reply(listed(key))
            case "fetch":
                return reply(page())
            case "crash":
                raise RuntimeError("crashed as asked")
            case _:
                return reply("I know /note add TEXT, /note list and /note fetch.")


class Describe:
    def describe(self) -> Info:
        commands = [Command("/note", "Notes: add TEXT, list, fetch"), Command("/hello", "Greets")]
        return Info("notes", "0.1.0", "Keeps notes", commands, "")


def add(key: str, text: str) -> str:
    if not text:
        return "What shall I note? Write /note add TEXT."
    note = text.replace("\n", " ")
    notes = f"{kv.get(key) or ''}{note}\n"
    kv.set(key, notes)
    count = notes.count("\n")
    return f"Noted: {note} ({count} note{'' if count == 1 else 's'})"


def listed(key: str) -> str:
    notes = (kv.get(key) or "").split("\n")[:-1]
    return "\n".join(f"{at}. {note}" for at, note in enumerate(notes, 1)) or "No notes yet."


def page() -> str:
    url = config("url")
    if url is None:
        return "Set url in the config first."
    try:
        response = fetch(url)
    except FetchError as error:
        log.warning("%s", error)
        return "I cannot reach the page."
    if response.status != 200:
        return f"The page answered {response.status}."
    return f"The page says: {response.text().partition(chr(10))[0]}"
