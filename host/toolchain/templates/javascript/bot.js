// A bot that keeps a list. `belfry dev` builds it again whenever you save, and answers with the new build.
//
// What a handler is given and may return is in `wit/`; hover over a name in your editor to read it.
import { command, config, kv, markdown, pass, reply } from "./belfry.js";

/** @type {import("belfry:bot/message-handler").MessageHandler} */
export const messageHandler = {
  // Each message gets a fresh instance: a variable out here would be new every time. What is to stay goes into `kv`.
  // `async` and `await` work; what is thrown ends up in the log, with its stack, and nothing is written.
  onMessage(message) {
    const words = command(message, "/{{name}}");
    if (words === null) return pass;
    // One list for each conversation. All that one message writes is stored together, when the handler has returned.
    const key = `list/${message.conversation.id}`;
    /** @type {string[]} */
    const list = kv.getJson(key, []);

    const [verb, ...rest] = words.split(/\s+/);
    const item = rest.join(" ");
    switch (verb) {
      case "add":
        if (item === "") return reply("What shall I add?");
        kv.setJson(key, [...list, item]);
        return reply(`Added: ${item}`);
      case "done":
        if (!list.includes(item)) return reply(`There is no ${item}.`);
        kv.setJson(key, list.filter((one) => one !== item));
        return reply(`Done: ${item}`);
      case "":
        if (list.length === 0) return reply("Nothing to do.");
        // `config = { title = "…" }` in the plugin's table of belfry.toml.
        return reply(markdown(`### ${config("title", "To do")}\n${list.map((one) => `- ${one}`).join("\n")}`));
      default:
        return reply("I know /{{name}}, /{{name}} add ITEM and /{{name}} done ITEM.");
    }
  },
};

/** @type {import("belfry:bot/describe").Describe} */
export const describe = {
  // Asked once, when the plugin is loaded. The commands route messages to it.
  describe() {
    return {
      name: "{{name}}",
      version: "0.1.0",
      description: "Keeps a list",
      commands: [{ name: "/{{name}}", help: "A list: add ITEM, done ITEM" }],
      help: "",
    };
  },
};
