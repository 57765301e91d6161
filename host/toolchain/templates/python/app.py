"""A bot that keeps a list. `belfry dev` builds it again whenever you save, and answers with the new build.

What a handler is given and may return is in `wit/`; `bindings/` has it in Python, for your editor.
"""

import logging

from belfry import PASS, command, config, kv, markdown, reply
from wit_world.exports.describe import Command, Info
from wit_world.imports.types import Message, Outcome


class MessageHandler:
    # Each message gets a fresh instance: a variable would be new every time. What is to stay goes into `kv`.
    # What is raised ends up in the log, with its traceback, and nothing is written.
    def on_message(self, message: Message) -> Outcome:
        words = command(message, "/{{name}}")
        if words is None:
            return PASS
        # One list for each conversation. All that one message writes is stored together, when the handler has returned.
        key = f"list/{message.conversation.id}"
        items = kv.get_json(key, [])
        logging.info("%s has %d items", message.conversation.id, len(items))

        verb, _, item = words.partition(" ")
        item = item.strip()
        match verb:
            case "add":
                if not item:
                    return reply("What shall I add?")
                kv.set_json(key, items + [item])
                return reply(f"Added: {item}")
            case "done":
                if item not in items:
                    return reply(f"There is no {item}.")
                kv.set_json(key, [one for one in items if one != item])
                return reply(f"Done: {item}")
            case "":
                if not items:
                    return reply("Nothing to do.")
                # `config = { title = "…" }` in the plugin's table of belfry.toml.
                lines = "\n".join(f"- {one}" for one in items)
                return reply(markdown(f"### {config('title', 'To do')}\n{lines}"))
            case _:
                return reply("I know /{{name}}, /{{name}} add ITEM and /{{name}} done ITEM.")


class Describe:
    # Asked once, when the plugin is loaded. The commands route messages to it.
    def describe(self) -> Info:
        return Info(
            name="{{name}}",
            version="0.1.0",
            description="Keeps a list",
            commands=[Command("/{{name}}", "A list: add ITEM, done ITEM")],
            help="",
        )
