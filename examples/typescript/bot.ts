// Keeps notes: the bot of `../CONVERSATION.md`, in TypeScript.
import type { Describe } from "belfry:bot/describe";
import type { MessageHandler } from "belfry:bot/message-handler";
import { log } from "wasi:logging/logging";
import { command, config, kv, pass, reply, textOf } from "./belfry.js";

export const messageHandler: MessageHandler = {
  async onMessage(message) {
    if (textOf(message) === null) return pass;
    const number = kv.increment("count");
    const { nick } = message.sender;
    log("info", "notes", `message ${number} from ${nick}`);
    const asked = command(message, "/note");
    if (asked === null) return reply(`${config("greeting", "Hello")}, ${nick}! This is message ${number}.`);
    const [word = "", rest = ""] = asked.split(/\s+(.*)/s);
    const key = `notes/${message.conversation.id}`;
    switch (word) {
      case "add":
        return reply(add(key, rest));
      case "list":
        return reply(list(key));
      case "fetch":
        return reply(await page());
      case "crash":
        throw new Error("crashed as asked");
      default:
        return reply("I know /note add TEXT, /note list and /note fetch.");
    }
  },
};

export const describe: Describe = {
  describe() {
    return {
      name: "notes",
      version: "0.1.0",
      description: "Keeps notes",
      commands: [
        { name: "/note", help: "Notes: add TEXT, list, fetch" },
        { name: "/hello", help: "Greets" },
      ],
      help: "",
    };
  },
};

function add(key: string, text: string): string {
  if (text === "") return "What shall I note? Write /note add TEXT.";
  const note = text.replaceAll("\n", " ");
  const notes = `${kv.get(key) ?? ""}${note}\n`;
  kv.set(key, notes);
  const count = notes.split("\n").length - 1;
  return `Noted: ${note} (${count} note${count === 1 ? "" : "s"})`;
}

function list(key: string): string {
  const notes = (kv.get(key) ?? "").split("\n").slice(0, -1);
  return notes.map((note, at) => `${at + 1}. ${note}`).join("\n") || "No notes yet.";
}

async function page(): Promise<string> {
  const url = config("url");
  if (url === null) return "Set url in the config first.";
  try {
    const response = await fetch(url);
    if (response.status !== 200) return `The page answered ${response.status}.`;
    const [first] = (await response.text()).split("\n");
    return `The page says: ${first}`;
  } catch (error) {
    log("warn", "notes", String(error));
    return "I cannot reach the page.";
  }
}
