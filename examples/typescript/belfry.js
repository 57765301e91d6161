// Small helpers around what `wit/` offers. They are yours: change them, or call the interfaces themselves, such as
// `import { send } from "belfry:bot/chat"`.
import { open } from "wasi:keyvalue/store";
import * as atomics from "wasi:keyvalue/atomics";
import * as settings from "wasi:config/store";

/** Not mine: the next plugin is asked. */
export const pass = Object.freeze({ tag: "pass" });

/** The answer: any number of texts and replies. `reply()` handles the message in silence. */
export function reply(...replies) {
  return { tag: "reply", val: replies.map((one) => (typeof one === "string" ? text(one) : one)) };
}

/** Plain text. `mentions` is `{ userIds, mobiles, all }`, each of them optional. */
export function text(text, mentions) {
  return { tag: "text", val: { text, mentions: mentionList(mentions) } };
}

/** Markdown, in DingTalk's subset. `title` is what notifications show; the first line if it is not given. */
export function markdown(text, { title = "", mentions } = {}) {
  return { tag: "markdown", val: { title, text, mentions: mentionList(mentions) } };
}

/** Markdown with buttons that open links: `[{ title, url }]`. */
export function buttons(title, text, buttons, { horizontal = false } = {}) {
  return { tag: "action-card", val: { title, text, buttons, horizontal } };
}

function mentionList(mentions) {
  return mentions ? { userIds: [], mobiles: [], all: false, ...mentions } : null;
}

/** The text of a message; null if it is a picture, a file or something else. */
export function textOf(message) {
  return message.content.tag === "text" ? message.content.val : null;
}

/** What stands behind the command `name` (such as `/todo`) in a message; null if the message does not begin with it. */
export function command(message, name) {
  const said = textOf(message)?.trim();
  if (!said?.startsWith(name)) return null;
  const rest = said.slice(name.length);
  return rest === "" || /^\s/.test(rest) ? rest.trim() : null;
}

class Failure extends Error {
  constructor(tag, reason) {
    super(reason);
    this.payload = { tag, val: reason };
  }
}

/** To be thrown: it may work in a moment, so the host tries again. */
export function temporary(reason) {
  return new Failure("temporary", reason);
}

/** To be thrown: it will not work however often it is tried. Any other exception counts as this too. */
export function permanent(reason) {
  return new Failure("permanent", reason);
}

/** A setting of the plugin, from `config` in its table of belfry.toml. */
export function config(key, otherwise = null) {
  try {
    return settings.get(key) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/**
 * The plugin's own key-values, which stay when the handler has returned: a variable does not. What cannot be read or written
 * makes the handler fail as `temporary`, unless you catch it.
 */
export class KeyValues {
  #bucket;

  /** Buckets come to be with their first key. */
  constructor(bucket = "") {
    this.#bucket = () => open(bucket);
  }

  #use(f) {
    try {
      return f(this.#bucket());
    } catch (error) {
      const { tag, val } = error.payload ?? {};
      throw temporary(`the key-values: ${val ?? tag ?? error.message}`);
    }
  }

  /** The text under a key, or null. */
  get(key) {
    const bytes = this.#use((bucket) => bucket.get(key));
    return bytes ? new TextDecoder().decode(bytes) : null;
  }

  /** Sets a key to a text. */
  set(key, text) {
    this.#use((bucket) => bucket.set(key, new TextEncoder().encode(text)));
  }

  /** The value under a key that `setJson` wrote, or `otherwise`. */
  getJson(key, otherwise = null) {
    const text = this.get(key);
    return text === null ? otherwise : JSON.parse(text);
  }

  /** Sets a key to anything that JSON can hold. */
  setJson(key, value) {
    this.set(key, JSON.stringify(value));
  }

  delete(key) {
    this.#use((bucket) => bucket.delete(key));
  }

  /** All keys that begin with `prefix`. */
  keys(prefix = "") {
    return this.#use((bucket) => {
      const found = [];
      let page = { cursor: null };
      do {
        page = bucket.listKeys(page.cursor);
        found.push(...page.keys.filter((key) => key.startsWith(prefix)));
      } while (page.cursor != null);
      return found;
    });
  }

  /** Adds to a number and returns the sum. Stays right when messages are handled at the same time. */
  increment(key, by = 1) {
    return this.#use((bucket) => atomics.increment(bucket, key, by));
  }
}

/** The default bucket. */
export const kv = new KeyValues();
