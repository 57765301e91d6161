// What `wit/` says, for editors and for the type checker. Written by `belfry build`: do not edit.

/** Log lines, each under the plugin's name in the host's log. */
declare module "wasi:logging/logging" {
  /** How important a line is. */
  export type Level =
    /** What the program does, step by step. */
    | "trace"
    /** For finding a fault. */
    | "debug"
    /** For somebody who watches. */
    | "info"
    /** Something went wrong, but not badly. */
    | "warn"
    /** Something went wrong. */
    | "error"
    /** Everything went wrong. */
    | "critical";
  /** Writes one line. `context` groups lines of one subject, and may be empty. */
  export function log(level: Level, context: string, message: string): void;
}

declare module "wasi:logging/logging@0.1.0-draft" {
  export * from "wasi:logging/logging";
}

/** The plugin's own settings: `config` in its `[plugins.NAME]` table. */
declare module "wasi:config/store" {
  /** Why a setting could not be read. */
  export type Error =
    /** The provider of the settings failed. */
    | { tag: "upstream"; val: string }
    /** Reading failed. */
    | { tag: "io"; val: string };
  /**
   * The setting `key`, or none if the table does not have it.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function get(key: string): string | null;
  /**
   * All settings, as key and value.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function getAll(): ([string, string])[];
}

declare module "wasi:config/store@0.2.0-rc.1" {
  export * from "wasi:config/store";
}

/**
 * The plugin's own key-values. They live in Belfry's journal: across messages, restarts and new builds.
 *
 * What a call writes, it reads back at once. Everybody else sees it when the call has ended well: all writes of a call
 * are stored together with what it returns, or none of them is. A call that fails writes nothing.
 */
declare module "wasi:keyvalue/store" {
  /** Why an operation was refused. */
  export type Error =
    /** There is no bucket of this name: names have 1 to 64 bytes, of letters, digits, `.`, `_` and `-`. */
    | { tag: "no-such-store" }
    /** This call may not use key-values: `describe` and `transform` may not. */
    | { tag: "access-denied" }
    /** Anything else, in words. Over quota: `kv` of the plugin's config table says how much it may hold. */
    | { tag: "other"; val: string };
  /** A page of keys. */
  export interface KeyResponse {
    /** The keys, in the order of their bytes; at most 1000. */
    keys: string[];
    /** Hand this to the next call for what follows. None: that was all. */
    cursor?: string | null;
  }
  /** Some of the plugin's key-values, under a name. */
  export class Bucket {
    private constructor();
    /**
     * The value of a key, or none.
     *
     * @throws an Error with a `Error` as `payload`
     */
    get(key: string): Uint8Array | null;
    /**
     * Sets a key. Keys have at most 1024 bytes, values at most 1 MiB.
     *
     * @throws an Error with a `Error` as `payload`
     */
    set(key: string, value: Uint8Array): void;
    /**
     * Deletes a key; one that is not there is no error.
     *
     * @throws an Error with a `Error` as `payload`
     */
    delete(key: string): void;
    /**
     * Whether a key has a value.
     *
     * @throws an Error with a `Error` as `payload`
     */
    exists(key: string): boolean;
    /**
     * The keys after `cursor`, this call's own writes included.
     *
     * @throws an Error with a `Error` as `payload`
     */
    listKeys(cursor?: string | null): KeyResponse;
  }
  /**
   * Opens a bucket. `""` and `"default"` are the same; others come to be with their first key. No other plugin can
   * reach any of them.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function open(identifier: string): Bucket;
}

declare module "wasi:keyvalue/store@0.2.0-draft2" {
  export * from "wasi:keyvalue/store";
}

/** Changes that stay right when calls for different conversations run at the same time. */
declare module "wasi:keyvalue/atomics" {
  import type { Bucket } from "wasi:keyvalue/store";
  export type { Bucket } from "wasi:keyvalue/store";
  import type { Error } from "wasi:keyvalue/store";
  export type { Error } from "wasi:keyvalue/store";
  /** The value of a key at one moment, to be replaced only if it is still the same. */
  export class Cas {
    private constructor();
    /**
     * Looks at a key.
     *
     * @throws an Error with a `Error` as `payload`
     */
    static new(bucket: Bucket, key: string): Cas;
    /**
     * The value it had at that moment; none if it had none.
     *
     * @throws an Error with a `Error` as `payload`
     */
    current(): Uint8Array | null;
  }
  /** Why a swap did not happen. */
  export type CasError =
    /** The store refused. */
    | { tag: "store-error"; val: Error }
    /** The value has changed since; here is a new handle on what it is now. */
    | { tag: "cas-failed"; val: Cas };
  /**
   * Adds `delta` to a number and returns the sum. A key without a value counts as 0. The number is kept as decimal
   * text, so `get` shows it. Stored as a difference: two calls that add at the same time both count, and what each is
   * told may be the same sum.
   *
   * A value that is no whole number is an error.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function increment(bucket: Bucket, key: string, delta: number): number;
  /**
   * Replaces the value seen by `cas`. If another call stores a change of the key before this one ends, this call's
   * work is thrown away and the handler runs again, with `attempt` counted up.
   *
   * @throws an Error with a `CasError` as `payload`
   */
  export function swap(cas: Cas, value: Uint8Array): void;
}

declare module "wasi:keyvalue/atomics@0.2.0-draft2" {
  export * from "wasi:keyvalue/atomics";
}

/** Several keys at once. */
declare module "wasi:keyvalue/batch" {
  import type { Bucket } from "wasi:keyvalue/store";
  export type { Bucket } from "wasi:keyvalue/store";
  import type { Error } from "wasi:keyvalue/store";
  export type { Error } from "wasi:keyvalue/store";
  /**
   * The values of these keys, in the same order, each with its key; none for a key without a value. At most 1000.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function getMany(bucket: Bucket, keys: string[]): ([string, Uint8Array] | null)[];
  /**
   * Sets these keys. If one is refused, those before it are set.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function setMany(bucket: Bucket, keyValues: ([string, Uint8Array])[]): void;
  /**
   * Deletes these keys.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function deleteMany(bucket: Bucket, keys: string[]): void;
}

declare module "wasi:keyvalue/batch@0.2.0-draft2" {
  export * from "wasi:keyvalue/batch";
}

/** What the host knows about itself. */
declare module "belfry:bot/host" {
  /** A loaded plugin. */
  export interface PluginInfo {
    /** Its name in the config, or its file's name without `.wasm`. */
    name: string;
    /**
     * What it is for, in one line, from `description` in its config table, else from its `describe`; empty if neither
     * says.
     */
    description: string;
    /**
     * The commands routed to it, such as `/todo`, from `commands` in its config table, else from its `describe`. Empty:
     * it is asked about every message nobody took before it.
     */
    commands: string[];
  }
  /**
   * The plugins that the sender of the current message can reach: those of the app that received it, in the
   * order in which they are asked. The calling plugin is among them.
   */
  export function plugins(): PluginInfo[];
}

declare module "belfry:bot/host@0.1.0" {
  export * from "belfry:bot/host";
}

/**
 * One HTTP request and its response, for languages that bring no HTTP client. The same grants and limits as for
 * `wasi:http/outgoing-handler`, which is offered too.
 */
declare module "belfry:bot/fetch" {
  /** A request. */
  export interface Request {
    /** `GET`, `POST`, …. */
    method: string;
    /** An `http` or `https` URL. `http` in the plugin's config table must name its host. */
    url: string;
    /**
     * Headers, as name and value. The host adds those that the grant holds, such as credentials, in place of any of the
     * same name.
     */
    headers: ([string, string])[];
    /** The body; none and an empty one are the same. */
    body?: Uint8Array | null;
    /** How long to wait for the whole response, in milliseconds. None: until the call's deadline. */
    timeout?: number | null;
  }
  /** A response, whatever its status. */
  export interface Response {
    /** The status code. */
    status: number;
    /** Headers, as name and value; names in lower case. */
    headers: ([string, string])[];
    /** The body, whole. */
    body: Uint8Array;
    /** Where it came from: the URL after redirects. */
    url: string;
  }
  /** Why there is no response. */
  export type Error =
    /** The plugin has no grant for this host; the text says what to add to the config. */
    | { tag: "not-granted"; val: string }
    /** The URL, method or a header is malformed. */
    | { tag: "invalid"; val: string }
    /** Too many requests in one call, or a response larger than `limits.transfer`. */
    | { tag: "limit"; val: string }
    /** It took too long. */
    | { tag: "timeout"; val: string }
    /** No connection, no such name, TLS, a broken response. */
    | { tag: "failed"; val: string };
  /**
   * Sends a request and waits for the whole response. Follows at most five redirects, each to a granted host.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function fetch(request: Request): Response;
}

declare module "belfry:bot/fetch@0.1.0" {
  export * from "belfry:bot/fetch";
}

/**
 * What a DingTalk message is, and what can be answered.
 *
 * Three habits hold everywhere in this package:
 *
 * - **Times** are milliseconds since 1970-01-01 UTC. They stay below 2^53, so JavaScript reads them exactly.
 * - **Ids** are opaque strings. Never shorten or parse one: two private conversations can share their tail.
 * - **What DingTalk may add tomorrow** is not lost: `message.raw` is the payload as it came.
 */
declare module "belfry:bot/types" {
  /** The two kinds of conversation. */
  export type ConversationKind =
    /** One person and the bot. */
    | "private"
    /** A group. DingTalk passes on only what mentions the bot, and only text, pictures and rich text. */
    | "group";
  /** A chat with the bot. */
  export interface Conversation {
    /** DingTalk's `conversationId`, in full. */
    id: string;
    /** Private chat or group. */
    kind: ConversationKind;
    /** The group's name. None in private chats. */
    title?: string | null;
  }
  /** The person who sent a message. */
  export interface Sender {
    /**
     * DingTalk's encrypted `senderId`, always there. The key to use for state per person: it also tells
     * external people apart.
     */
    id: string;
    /** The user id within the organisation. **None for external people**, and before the app is published. */
    staffId?: string | null;
    /** The name shown in the chat. Anybody can choose any name: never use it as a key or for a permission. */
    nick: string;
    /** The sender's organisation, in internal groups. */
    corpId?: string | null;
    /** The `unionId`, the same over all apps of one developer, where DingTalk sends it. */
    unionId?: string | null;
    /** Whether the sender is an administrator of the organisation. */
    admin: boolean;
  }
  /** A person mentioned with `@`. */
  export interface Mention {
    /** DingTalk's encrypted id. */
    id: string;
    /** The user id within the organisation; none for external people. */
    staffId?: string | null;
  }
  /** Something that can be downloaded through DingTalk by its code. */
  export interface Media {
    /** The `downloadCode`: short-lived, and only good for the robot that received the message. */
    downloadCode: string;
  }
  /** One part of a rich text. */
  export type RichTextPart =
    /** A run of text. Line breaks come as runs of their own. */
    | { tag: "text"; val: string }
    /** A picture. */
    | { tag: "picture"; val: Media }
    /** A mention; the string is the name as shown. */
    | { tag: "mention"; val: string }
    /** A part of a kind this version does not know; the string is DingTalk's `type`. */
    | { tag: "unknown"; val: string };
  /** A voice message. */
  export interface Audio {
    /** The recording. */
    media: Media;
    /** Its length in milliseconds; 0 if unknown. */
    duration: number;
    /** What DingTalk's speech recognition heard; empty if nothing. */
    recognition: string;
  }
  /** A video. */
  export interface Video {
    /** The recording. */
    media: Media;
    /** Its length in milliseconds; 0 if unknown. */
    duration: number;
    /** The file type DingTalk names, such as `mp4`; empty if unknown. */
    videoType: string;
  }
  /** A file. */
  export interface File {
    /** The file's content. */
    media: Media;
    /** Its name with extension. */
    name: string;
    /** Its id in DingTalk's file storage, if any. */
    fileId?: string | null;
    /** The id of the storage space, if any. */
    spaceId?: string | null;
  }
  /** An interactive card. */
  export interface InteractiveCard {
    /** The link the card opens, if it has one. */
    url?: string | null;
  }
  /** A forwarded chat history. */
  export interface ChatRecord {
    /** DingTalk's one-line summary. */
    summary: string;
    /** The records, JSON text as DingTalk sent them; empty if it sent none. */
    records: string;
  }
  /** What a message holds, by DingTalk's `msgtype`. */
  export type Content =
    /** Plain text, white space at both ends removed. In a group DingTalk has taken the `@bot` out. */
    | { tag: "text"; val: string }
    /** A picture. */
    | { tag: "picture"; val: Media }
    /** Text runs, pictures and mentions in the order they were typed. */
    | { tag: "rich-text"; val: RichTextPart[] }
    /** A voice message, with DingTalk's own transcription. Private chats only. */
    | { tag: "audio"; val: Audio }
    /** A video. Private chats only. */
    | { tag: "video"; val: Video }
    /** A file. Private chats only. */
    | { tag: "file"; val: File }
    /** Markdown source. */
    | { tag: "markdown"; val: string }
    /** An interactive card somebody forwarded or quoted; its fields are in `raw`. */
    | { tag: "interactive-card"; val: InteractiveCard }
    /** A forwarded chat history. */
    | { tag: "chat-record"; val: ChatRecord }
    /** Anything else: DingTalk's own `msgtype` (empty if it sent none). The fields are in `raw`. */
    | { tag: "unknown"; val: string };
  /** The message that a reply quotes. A record of its own, flat, since DingTalk sends less of it. */
  export interface Quoted {
    /** The quoted message's `msgId`, if known. */
    id?: string | null;
    /** Its encrypted sender id, if known. */
    senderId?: string | null;
    /** When it was sent, milliseconds since 1970; 0 if unknown. */
    sentAt: number;
    /**
     * DingTalk's own name for its kind: `text`, `picture`, `richText`, `markdown`, `interactiveCard`, or
     * `unknownMsgType` for files, audio and video, whose content DingTalk leaves out. Empty if it did not say.
     */
    kind: string;
    /** Its text: of rich text, the text runs joined. None if it holds no text. */
    text?: string | null;
    /** Its pictures, in order. */
    pictures: Media[];
  }
  /** A message a person sent to the bot. */
  export interface Message {
    /**
     * DingTalk's `msgId`. The same for every delivery of this message, so it can serve as a key of your own
     * records. Unique within one app.
     */
    id: string;
    /**
     * The name of the app (robot) that received it: `default`, or `NAME` of
     * `[channels_config.dingtalk.apps.NAME]`.
     */
    app: string;
    /** Where it was said, and where replies go. */
    conversation: Conversation;
    /** Who said it. */
    sender: Sender;
    /** What was said. */
    content: Content;
    /** Whom the message mentions with `@`, the bot left out. Empty in private chats. */
    mentions: Mention[];
    /** The message this one quotes, if it is a quoted reply. */
    quoted?: Quoted | null;
    /** When it was sent, by DingTalk's clock, in milliseconds since 1970. 0 if DingTalk did not say. */
    sentAt: number;
    /** Which try this is: 1 for the first, more after a `temporary` failure or a crash of the host. */
    attempt: number;
    /** Reserved for facts that later versions of the host add, as name and value. Ignore names you do not know. */
    attributes: ([string, string])[];
    /** The payload as DingTalk sent it, JSON text, less the session webhook (a secret the host keeps). */
    raw: string;
  }
  /** Why a handler could not do its work. The person is not shown the reason; the log is. */
  export type Failure =
    /** It may work in a moment (a service was down): the host tries again, with growing pauses. */
    | { tag: "temporary"; val: string }
    /** It will not work however often it is tried. A trap, a timeout or an exception counts as this. */
    | { tag: "permanent"; val: string };
  /** To whom a message goes that is not a reply. */
  export type Target =
    /** The conversation of the current message, through its session webhook. */
    | { tag: "current" }
    /** A person, by staff id. Counts against the monthly quota of API calls, as `group` does, and a file to whomever. */
    | { tag: "user"; val: string }
    /** A group, by its conversation id. */
    | { tag: "group"; val: string };
  /**
   * Whom a text or markdown reply mentions. At most 50 people, the rest is left out; the host appends `@id` to the
   * text where it is not there yet, since DingTalk highlights nobody otherwise.
   */
  export interface MentionList {
    /** Staff ids. */
    userIds: string[];
    /** Phone numbers. */
    mobiles: string[];
    /** Mention everybody in the group. */
    all: boolean;
  }
  /** Plain text. */
  export interface TextReply {
    /** The text. Empty text is not sent, unless it mentions somebody in a group. */
    text: string;
    /** Mentions; none in private chats, where DingTalk ignores them. */
    mentions?: MentionList | null;
  }
  /** Markdown. */
  export interface MarkdownReply {
    /** Shown in the list of conversations and in notifications. Empty: the host takes the first line of `text`. */
    title: string;
    /** The markdown source. Empty markdown is not sent. */
    text: string;
    /** Mentions. DingTalk highlights them less reliably than in plain text. */
    mentions?: MentionList | null;
  }
  /** A card that opens a link. */
  export interface LinkReply {
    /** The headline. */
    title: string;
    /** The text below. */
    text: string;
    /** What a tap opens: an `http` or `https` URL. */
    url: string;
    /** A picture's URL, if any. */
    pictureUrl?: string | null;
  }
  /** A button that opens a link. */
  export interface Button {
    /** Its label. */
    title: string;
    /** What it opens: an `http` or `https` URL. */
    url: string;
  }
  /** Markdown with buttons. */
  export interface ActionCardReply {
    /** Shown in the list of conversations and in notifications. */
    title: string;
    /** The markdown source. */
    text: string;
    /**
     * One button makes the whole card a link; two or more are shown below each other or side by side. None:
     * the reply is sent as markdown.
     */
    buttons: Button[];
    /** Side by side instead of below each other. */
    horizontal: boolean;
  }
  /** One line of a feed card. */
  export interface FeedCardLink {
    /** The headline. */
    title: string;
    /** What a tap opens: an `http` or `https` URL. */
    url: string;
    /** The picture's URL. */
    pictureUrl: string;
  }
  /** A picture. */
  export interface ImageReply {
    /** An `https` URL or a DingTalk media id (`@lAL…`). */
    source: string;
  }
  /** A file. */
  export interface FileReply {
    /** The media id of an upload to DingTalk. */
    mediaId: string;
    /** Its name with extension: xlsx, pdf, zip, rar, doc or docx. */
    name: string;
  }
  /**
   * One message to send. Text and markdown longer than DingTalk allows (20 000 bytes a message) are split by the
   * host at a paragraph, a line or a word, never inside a code fence.
   */
  export type Reply =
    /** Plain text. */
    | { tag: "text"; val: TextReply }
    /** Markdown, DingTalk's subset: headings, bold, links, pictures, lists, quotes, code. */
    | { tag: "markdown"; val: MarkdownReply }
    /** A card that opens a link. */
    | { tag: "link"; val: LinkReply }
    /** Markdown with one or more buttons that open links. */
    | { tag: "action-card"; val: ActionCardReply }
    /** A list of pictures with titles, each opening a link. */
    | { tag: "feed-card"; val: FeedCardLink[] }
    /** A picture. */
    | { tag: "image"; val: ImageReply }
    /**
     * A file already uploaded to DingTalk. A session webhook cannot carry files: where only that is open, the
     * person gets the file's name as text, and the log says so.
     */
    | { tag: "file"; val: FileReply };
  /** What a handler does with a message. */
  export type Outcome =
    /** Not mine: let the next plugin try. What the handler wrote to its key-values is kept. */
    | { tag: "pass" }
    /** Mine, and this is the answer, sent in this order. An empty list: handled in silence. */
    | { tag: "reply"; val: Reply[] };
}

declare module "belfry:bot/types@0.1.0" {
  export * from "belfry:bot/types";
}

/**
 * Talking before the handler returns, and to others than the one who asked.
 *
 * The current conversation, its files and uploads need no grant. People and groups are granted by `chat` in the plugin's config
 * table; a refusal says which line to add.
 */
declare module "belfry:bot/chat" {
  import type { Target } from "belfry:bot/types";
  export type { Target } from "belfry:bot/types";
  import type { Reply } from "belfry:bot/types";
  export type { Reply } from "belfry:bot/types";
  /** Why it was refused or did not work. */
  export type Error =
    /** The plugin has no grant for this; the text says what to add to the config. */
    | { tag: "not-granted"; val: string }
    /** It cannot work: no such code, no such message, a target that does not exist. */
    | { tag: "invalid"; val: string }
    /** A limit of the plugin (`limits`) or of DingTalk. */
    | { tag: "limit"; val: string }
    /** It may work later. */
    | { tag: "unavailable"; val: string };
  /** What a file is uploaded as. */
  export type MediaKind =
    /** jpg, gif, png or bmp, up to 20 MB. */
    | "image"
    /** doc, docx, xls, xlsx, ppt, pptx, zip, pdf or rar, up to 20 MB. */
    | "file"
    /** amr, mp3 or wav, up to 2 MB. */
    | "voice"
    /** mp4, up to 20 MB. */
    | "video";
  /**
   * Sends a message now, and does not wait until it has arrived: it is stored and sent in order with the replies of the
   * conversation. Returns its id. Run again after a failure or a crash, the handler gets the same id for the same call and
   * nothing is sent twice.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function send(to: Target, message: Reply): string;
  /**
   * Takes a sent message back, by its id, within 24 hours. Works for those to `user` and `group`, of which the host remembers
   * the last 10 000; DingTalk cannot recall what went to `current`. Needs any grant of `chat`.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function recall(id: string): void;
  /**
   * The content behind a `download-code` of the current message. At most `limits.transfer` bytes.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function download(code: string): Uint8Array;
  /**
   * Uploads a picture or a file and returns its media id, for `image` and `file` replies. At most `limits.transfer` bytes.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function upload(kind: MediaKind, name: string, data: Uint8Array): string;
}

declare module "belfry:bot/chat@0.1.0" {
  export * from "belfry:bot/chat";
}

/** Interactive cards, made from templates of DingTalk's card platform. */
declare module "belfry:bot/cards" {
  import type { Target } from "belfry:bot/types";
  export type { Target } from "belfry:bot/types";
  import type { Error } from "belfry:bot/chat";
  export type { Error } from "belfry:bot/chat";
  /** A card to be sent. */
  export interface Card {
    /** The id of a published template, such as `382e4302-551d-4880-bf29-a30acfab2e71.schema`. */
    template: string;
    /** The template's variables, as name and value. */
    data: ([string, string])[];
  }
  /**
   * Sends a card and returns its id, under which an `action-handler` hears of it and `update` changes it. The same id when
   * the handler runs again.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function send(to: Target, card: Card): string;
  /**
   * Changes variables of a card; those not named stay.
   *
   * @throws an Error with a `Error` as `payload`
   */
  export function update(id: string, data: ([string, string])[]): void;
}

declare module "belfry:bot/cards@0.1.0" {
  export * from "belfry:bot/cards";
}

/**
 * One message that grows while the handler works, as an assistant's answer does.
 *
 * It is shown as an AI card where the config names a template (`chat.card_template`). Where it names none, the text is sent
 * as one markdown message when it is finished.
 */
declare module "belfry:bot/live-card" {
  import type { Target } from "belfry:bot/types";
  export type { Target } from "belfry:bot/types";
  import type { Error } from "belfry:bot/chat";
  export type { Error } from "belfry:bot/chat";
  /** A growing message. Dropped before it is finished, it ends with the text it has. */
  export class Card {
    private constructor();
    /**
     * Begins one. `title`, at most 256 bytes, is used where it is sent as markdown; empty takes the first line.
     *
     * @throws an Error with a `Error` as `payload`
     */
    static create(to: Target, title: string): Card;
    /**
     * Adds to the text. Returns at once: updates are gathered and sent once per `chat.card_interval`. The text has at most
     * `limits.output` bytes; a card shows the first 256 KiB.
     *
     * @throws an Error with a `Error` as `payload`
     */
    append(markdown: string): void;
    /**
     * Replaces the text.
     *
     * @throws an Error with a `Error` as `payload`
     */
    set(markdown: string): void;
    /**
     * Ends it with the text it has. Waits until DingTalk has it.
     *
     * @throws an Error with a `Error` as `payload`
     */
    finish(): void;
    /**
     * Ends it as failed, with a sentence for the reader behind the text.
     *
     * @throws an Error with a `Error` as `payload`
     */
    fail(reason: string): void;
  }
}

declare module "belfry:bot/live-card@0.1.0" {
  export * from "belfry:bot/live-card";
}

/** Export this to answer messages. */
declare module "belfry:bot/message-handler" {
  import type { Message } from "belfry:bot/types";
  export type { Message } from "belfry:bot/types";
  import type { Outcome } from "belfry:bot/types";
  export type { Outcome } from "belfry:bot/types";
  import type { Failure } from "belfry:bot/types";
  export type { Failure } from "belfry:bot/types";
  /** Export this to answer messages. */
  export interface MessageHandler {
    /**
     * Called once for each message that is routed to this plugin, in a fresh instance: no global variable lives
     * from one message to the next (unless the config says `per = "resident"`). Messages of one conversation come one
     * after the other, in order; those of different conversations run at the same time.
     *
     * Returning `pass` hands the message to the next plugin. A `failure` of kind `temporary` makes the host try
     * again later, with `message.attempt` counted up.
     *
     * The call is limited in memory, CPU time and wall-clock time (`[plugins.NAME.limits]`); at a limit it is
     * stopped and counts as a permanent failure of this one message.
     *
     * What it throws becomes a `Failure`: see `temporary` and `permanent` in belfry.js.
     */
    onMessage(message: Message): Outcome | Promise<Outcome>;
  }
}

declare module "belfry:bot/message-handler@0.1.0" {
  export * from "belfry:bot/message-handler";
}

/** Export this to say what the plugin is. */
declare module "belfry:bot/describe" {
  /** A command, for help texts and routing. */
  export interface Command {
    /** A slash and a word, such as `/todo`. */
    name: string;
    /** What it does, in one line. */
    help: string;
  }
  /** What a plugin says about itself. */
  export interface Info {
    /** Its name, for people. The name in config and logs is the config's. */
    name: string;
    /** Its version, such as `1.2.0`. */
    version: string;
    /** What it is for, in one line. */
    description: string;
    /** Its commands. They route messages unless `commands` in the config table says otherwise. */
    commands: Command[];
    /** How to use it, markdown; may be empty. */
    help: string;
  }
  /** Export this to say what the plugin is. */
  export interface Describe {
    /** Called once when the plugin is loaded. Key-values, chat and HTTP refuse; the config can be read. */
    describe(): Info | Promise<Info>;
  }
}

declare module "belfry:bot/describe@0.1.0" {
  export * from "belfry:bot/describe";
}

// What every plugin has beside the language itself. A subset of what browsers and Node.js have.

/** Writes to the plugin's log: `log` and `info` as info, `warn` as warning, `error` as error, `debug` and `trace` as debug. Silent while a module is evaluated, which happens when the plugin is built. */
declare const console: {
  trace(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  dir(value: unknown): void;
  assert(held: unknown, ...values: unknown[]): void;
  count(label?: string): void;
};

interface RequestOptions {
  /** `GET` if it is not given. */
  method?: string;
  headers?: Headers | Record<string, string> | Iterable<[string, string]>;
  /** For an object: `JSON.stringify(…)`, and the header `content-type: application/json`. */
  body?: string | Uint8Array | ArrayBuffer | URLSearchParams | null;
  /** How long to wait for the whole response, in milliseconds. Until the call's deadline if it is not given. */
  timeout?: number;
}

/**
 * Sends a request, under the plugin's `http` grant. Follows redirects.
 *
 * @throws a TypeError whose `reason` is `not-granted`, `invalid`, `limit`, `timeout` or `failed`, and whose message says what
 * to add to the config
 */
declare function fetch(url: string, options?: RequestOptions): Promise<Response>;

declare class Response {
  readonly status: number;
  /** Whether the status is from 200 to 299. */
  readonly ok: boolean;
  /** Where it came from, after redirects. */
  readonly url: string;
  readonly headers: Headers;
  text(): Promise<string>;
  json(): Promise<any>;
  bytes(): Promise<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

declare class Headers {
  constructor(init?: Headers | Record<string, string> | Iterable<[string, string]>);
  append(name: string, value: string): void;
  set(name: string, value: string): void;
  get(name: string): string | null;
  has(name: string): boolean;
  delete(name: string): void;
  forEach(f: (value: string, name: string, headers: Headers) => void): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}

declare class URLSearchParams {
  constructor(init?: string | Record<string, string> | Iterable<[string, string]>);
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  toString(): string;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}

declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
}

declare class TextDecoder {
  constructor(label?: "utf-8" | "utf8", options?: { fatal?: boolean; ignoreBOM?: boolean });
  readonly encoding: "utf-8";
  decode(bytes?: Uint8Array | ArrayBuffer): string;
}

declare function atob(base64: string): string;
declare function btoa(text: string): string;

declare const crypto: {
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  randomUUID(): string;
};

declare function queueMicrotask(f: () => void): void;
/** Timers run while a handler waits for a promise; those left when it has returned are dropped with its instance. */
declare function setTimeout<A extends unknown[]>(f: (...args: A) => void, milliseconds?: number, ...args: A): number;
declare function setInterval<A extends unknown[]>(f: (...args: A) => void, milliseconds?: number, ...args: A): number;
declare function clearTimeout(timer: number | undefined): void;
declare function clearInterval(timer: number | undefined): void;
