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
