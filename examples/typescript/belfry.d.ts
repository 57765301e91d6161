import type { Button, MentionList, Message, Outcome, Reply } from "belfry:bot/types";

type Mentions = Partial<MentionList>;

/** Not mine: the next plugin is asked. */
export const pass: Outcome;
/** The answer: any number of texts and replies. `reply()` handles the message in silence. */
export function reply(...replies: (string | Reply)[]): Outcome;
/** Plain text. */
export function text(text: string, mentions?: Mentions): Reply;
/** Markdown, in DingTalk's subset. `title` is what notifications show; the first line if it is not given. */
export function markdown(text: string, options?: { title?: string; mentions?: Mentions }): Reply;
/** Markdown with buttons that open links. */
export function buttons(title: string, text: string, buttons: Button[], options?: { horizontal?: boolean }): Reply;
/** The text of a message; null if it is a picture, a file or something else. */
export function textOf(message: Message): string | null;
/** What stands behind the command `name` (such as `/todo`) in a message; null if the message does not begin with it. */
export function command(message: Message, name: string): string | null;
/** To be thrown: it may work in a moment, so the host tries again. */
export function temporary(reason: string): Error;
/** To be thrown: it will not work however often it is tried. Any other exception counts as this too. */
export function permanent(reason: string): Error;
/** A setting of the plugin, from `config` in its table of belfry.toml. */
export function config(key: string): string | null;
export function config(key: string, otherwise: string): string;

/**
 * The plugin's own key-values, which stay when the handler has returned: a variable does not. What cannot be read or written
 * makes the handler fail as `temporary`, unless you catch it.
 */
export class KeyValues {
  /** Buckets come to be with their first key. */
  constructor(bucket?: string);
  /** The text under a key, or null. */
  get(key: string): string | null;
  /** Sets a key to a text. */
  set(key: string, text: string): void;
  /** The value under a key that `setJson` wrote, or `otherwise`. */
  getJson<T = any>(key: string): T | null;
  getJson<T>(key: string, otherwise: T): T;
  /** Sets a key to anything that JSON can hold. */
  setJson(key: string, value: unknown): void;
  delete(key: string): void;
  /** All keys that begin with `prefix`. */
  keys(prefix?: string): string[];
  /** Adds to a number and returns the sum. Stays right when messages are handled at the same time. */
  increment(key: string, by?: number): number;
}

/** The default bucket. */
export const kv: KeyValues;
