// What QuickJS lacks, in the shape that browsers and Node.js have: promises that the end of a handler waits for, timers,
// console, fetch, text encoding, random numbers. Compiled into every JavaScript plugin, before its own modules.
import { log } from "wasi:logging/logging@0.1.0-draft";
import { fetch as send } from "belfry:bot/fetch@0.1.0";
import { getRandomBytes } from "wasi:random/random@0.2.0";
import { now, subscribeDuration } from "wasi:clocks/monotonic-clock@0.2.0";

/** Set by the first call. Before that, a module is evaluated while the plugin is built, where the host's functions trap. */
export const life = { called: false };

// --- Promises ---------------------------------------------------------------------------------------------------------
// The engine has promises, but runs their jobs only for asynchronous WIT functions. The build lowers `async` to
// generators, and these promises have a queue that `settle` empties.

const jobs = [];
const timers = [];
let timerIds = 0;
let unheeded = new Set();

class Promise {
  #state = "pending";
  #value;
  #waiting = [];
  #heeded = false;

  constructor(executor) {
    if (typeof executor !== "function") throw new TypeError("a promise needs a function");
    const [resolve, reject] = this.#resolvers();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  #resolvers() {
    let done = false;
    const once = (f) => (value) => {
      if (done) return;
      done = true;
      f(value);
    };
    return [once((value) => this.#resolve(value)), once((reason) => this.#end("rejected", reason))];
  }

  #resolve(value) {
    if (value === this) return this.#end("rejected", new TypeError("a promise cannot resolve to itself"));
    if (value === null || (typeof value !== "object" && typeof value !== "function")) return this.#end("fulfilled", value);
    let then;
    try {
      then = value.then;
    } catch (error) {
      return this.#end("rejected", error);
    }
    if (typeof then !== "function") return this.#end("fulfilled", value);
    jobs.push(() => {
      const [resolve, reject] = this.#resolvers();
      try {
        then.call(value, resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  }

  #end(state, value) {
    this.#state = state;
    this.#value = value;
    if (state === "rejected" && !this.#heeded) unheeded.add(this);
    for (const job of this.#waiting) jobs.push(job);
    this.#waiting = [];
  }

  then(onFulfilled, onRejected) {
    return new Promise((resolve, reject) => {
      const job = () => {
        const handler = this.#state === "fulfilled" ? onFulfilled : onRejected;
        if (typeof handler !== "function") return this.#state === "fulfilled" ? resolve(this.#value) : reject(this.#value);
        try {
          resolve(handler(this.#value));
        } catch (error) {
          reject(error);
        }
      };
      this.#heeded = true;
      unheeded.delete(this);
      if (this.#state === "pending") this.#waiting.push(job);
      else jobs.push(job);
    });
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(f) {
    if (typeof f !== "function") return this.then(f, f);
    return this.then(
      (value) => Promise.resolve(f()).then(() => value),
      (reason) => Promise.resolve(f()).then(() => Promise.reject(reason)),
    );
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static resolve(value) {
    return value instanceof Promise ? value : new Promise((resolve) => resolve(value));
  }

  static reject(reason) {
    return new Promise((_, reject) => reject(reason));
  }

  static try(f, ...args) {
    return new Promise((resolve) => resolve(f(...args)));
  }

  static withResolvers() {
    const parts = {};
    parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
  }

  static #gather(promises, onValue, onReason, onAll) {
    return new Promise((resolve, reject) => {
      const found = [];
      let left = 1;
      const done = () => --left === 0 && onAll(found, resolve, reject);
      let index = 0;
      for (const promise of promises) {
        const at = index++;
        left++;
        const put = (value) => ((found[at] = value), done());
        Promise.resolve(promise).then(
          (value) => onValue(value, put, resolve),
          (reason) => onReason(reason, put, reject),
        );
      }
      done();
    });
  }

  static all(promises) {
    return this.#gather(promises, (value, put) => put(value), (reason, _, reject) => reject(reason), (all, resolve) => resolve(all));
  }

  static allSettled(promises) {
    const fulfilled = (value, put) => put({ status: "fulfilled", value });
    return this.#gather(promises, fulfilled, (reason, put) => put({ status: "rejected", reason }), (all, resolve) => resolve(all));
  }

  static any(promises) {
    const none = (errors, _, reject) => reject(new AggregateError(errors, "all promises were rejected"));
    return this.#gather(promises, (value, _, resolve) => resolve(value), (reason, put) => put(reason), none);
  }

  static race(promises) {
    return new Promise((resolve, reject) => {
      for (const promise of promises) Promise.resolve(promise).then(resolve, reject);
    });
  }

  /** Runs what is due until `value` is no longer a promise under way. Returns or throws what it came to. */
  static settle(value) {
    let end;
    if (value !== null && typeof value === "object" && typeof value.then === "function") {
      value.then((value) => (end = { value }), (reason) => (end = { reason }));
    } else {
      end = { value };
    }
    for (;;) {
      while (jobs.length > 0) jobs.shift()();
      if (end || !fireTimer()) break;
    }
    for (const promise of unheeded) console.error("a promise was rejected and nothing handles it:", promise.#value);
    unheeded = new Set();
    if (!end) throw new Error("it returned a promise that nothing will ever settle");
    if ("reason" in end) throw end.reason;
    return end.value;
  }
}

/** Waits for the next timer and runs it. False if there is none. */
function fireTimer() {
  if (timers.length === 0) return false;
  let next = 0;
  for (let i = 1; i < timers.length; i++) if (timers[i].due < timers[next].due) next = i;
  const timer = timers[next];
  const wait = timer.due - now();
  if (wait > 0) subscribeDuration(Math.ceil(wait)).block();
  if (timer.every === undefined) timers.splice(next, 1);
  else timer.due += timer.every;
  timer.run();
  return true;
}

function addTimer(f, delay, args, repeat) {
  if (typeof f !== "function") throw new TypeError("a timer needs a function");
  // In nanoseconds, as the clock counts.
  const pause = Math.max(repeat ? 1 : 0, Number(delay) || 0) * 1e6;
  const timer = { id: ++timerIds, due: now() + pause, every: repeat ? pause : undefined, run: () => f(...args) };
  timers.push(timer);
  return timer.id;
}

function clearTimer(id) {
  const at = timers.findIndex((timer) => timer.id === id);
  if (at >= 0) timers.splice(at, 1);
}

export const settle = Promise.settle;
delete Promise.settle;

// --- console ----------------------------------------------------------------------------------------------------------

/** A value in words, as a console shows it. */
export function inspect(value, depth = 0, above = []) {
  switch (typeof value) {
    case "string":
      return depth === 0 ? value : JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
      return value.toString();
    case "function":
      return `[function ${value.name || "anonymous"}]`;
    case "object":
      break;
    default:
      return String(value);
  }
  if (value === null) return "null";
  if (value instanceof Error) return depth === 0 ? describeError(value) : `[${value.name}: ${value.message}]`;
  if (above.includes(value)) return "[circular]";
  if (depth > 4) return Array.isArray(value) ? "[…]" : "{…}";
  const inner = (item) => inspect(item, depth + 1, [...above, value]);
  const list = (items, size) => {
    const shown = [];
    for (const item of items) {
      if (shown.length === 100) {
        shown.push(`… ${size - 100} more`);
        break;
      }
      shown.push(item);
    }
    return shown.join(", ");
  };
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${value.byteLength})`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.length}) [${list(value, value.length)}]`;
  if (Array.isArray(value)) return `[${list(value.map(inner), value.length)}]`;
  if (value instanceof Map) return `Map {${list([...value].map(([k, v]) => `${inner(k)} => ${inner(v)}`), value.size)}}`;
  if (value instanceof Set) return `Set {${list([...value].map(inner), value.size)}}`;
  const keys = Object.keys(value);
  const fields = keys.map((key) => `${/^[\w$]+$/.test(key) ? key : JSON.stringify(key)}: ${inner(value[key])}`);
  const name = value.constructor && value.constructor !== Object ? `${value.constructor.name} ` : "";
  return `${name}{${list(fields, keys.length)}}`;
}

function format(values) {
  return values.map((value) => inspect(value)).join(" ");
}

/** Where the lines of the bundle come from: see `sources` in the driver. Put there by the build, after the bundle. */
function origin(line) {
  const map = globalThis.__belfrySources;
  if (!map) return undefined;
  let low = 0;
  let high = map.lines.length - 1;
  let found;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (map.lines[middle][0] <= line) (found = map.lines[middle]), (low = middle + 1);
    else high = middle - 1;
  }
  if (!found) return undefined;
  const [generated, source, original] = found;
  return source < 0 ? null : `${map.files[source]}:${original + (line - generated)}`;
}

/** An error's stack by the author's own files and lines. What the build added is left out. */
export function stackOf(error) {
  const lines = [];
  for (const line of String(error?.stack ?? "").split("\n")) {
    const frame = /^\s*at (?:(.*) \()?(?:.*?):(\d+)(?::\d+)?\)?$/.exec(line);
    const from = frame ? origin(Number(frame[2])) : undefined;
    if (!from) continue;
    const name = frame[1] && frame[1] !== "<anonymous>" && frame[1] !== "next" ? `${frame[1]} ` : "";
    lines.push(name ? `    at ${name}(${from})` : `    at ${from}`);
  }
  return lines.join("\n");
}

/** An error in words: name, message, stack, causes. The host's own errors carry what it said as `payload`. */
export function describeError(error, depth = 0) {
  if (!(error instanceof Error)) return `${inspect(error)} was thrown; throw an Error to have a stack`;
  const said = error.payload === undefined ? error.message : sayPayload(error.payload);
  let text = said ? `${error.name}: ${said}` : error.name;
  const stack = stackOf(error);
  if (stack) text += `\n${stack}`;
  for (const inner of (error.errors ?? []).slice(0, 5)) if (depth < 3) text += `\nwith ${describeError(inner, depth + 1)}`;
  if (error.cause !== undefined && depth < 3) text += `\ncaused by ${describeError(error.cause, depth + 1)}`;
  return text;
}

/** What a host function refused with: a text, or a case with a text. */
export function sayPayload(payload) {
  if (typeof payload === "object" && payload !== null && typeof payload.tag === "string") {
    const tag = payload.tag.replaceAll("-", " ");
    if (payload.val === undefined || payload.val === null) return tag;
    return tag === "other" ? inspect(payload.val) : `${tag}: ${inspect(payload.val)}`;
  }
  return inspect(payload);
}

function write(level, values) {
  if (life.called) log(level, "", format(values));
}

const counts = new Map();
const console = {
  trace: (...values) => write("debug", [...values, `\n${stackOf(new Error())}`]),
  debug: (...values) => write("debug", values),
  log: (...values) => write("info", values),
  info: (...values) => write("info", values),
  warn: (...values) => write("warn", values),
  error: (...values) => write("error", values),
  dir: (value) => write("info", [value]),
  assert: (held, ...values) => held || write("error", ["assertion failed:", ...values]),
  count: (label = "default") => {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    write("info", [`${label}: ${counts.get(label)}`]);
  },
};

// --- Text and random numbers --------------------------------------------------------------------------------------------

class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(text = "") {
    const escaped = encodeURIComponent(String(text).toWellFormed());
    const bytes = new Uint8Array(escaped.length);
    let length = 0;
    for (let i = 0; i < escaped.length; i++) {
      const code = escaped.charCodeAt(i);
      if (code === 37) {
        bytes[length++] = Number.parseInt(escaped.slice(i + 1, i + 3), 16);
        i += 2;
      } else {
        bytes[length++] = code;
      }
    }
    return bytes.slice(0, length);
  }
}

class TextDecoder {
  #fatal;
  #ignoreBom;

  constructor(label = "utf-8", options = {}) {
    if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label)) throw new RangeError(`only utf-8 is decoded here, not ${label}`);
    this.#fatal = Boolean(options.fatal);
    this.#ignoreBom = Boolean(options.ignoreBOM);
  }

  get encoding() {
    return "utf-8";
  }

  decode(input = new Uint8Array()) {
    const bytes = ArrayBuffer.isView(input)
      ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
      : new Uint8Array(input);
    const parts = [];
    let codes = [];
    let i = !this.#ignoreBom && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    while (i < bytes.length) {
      const first = bytes[i++];
      let code = first;
      if (first >= 0x80) {
        const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        // The first byte that follows may not be any: no over-long forms, no surrogates, nothing past U+10FFFF.
        const low = { 0xe0: 0xa0, 0xf0: 0x90 }[first] ?? 0x80;
        const high = { 0xed: 0x9f, 0xf4: 0x8f }[first] ?? 0xbf;
        let good = first >= 0xc2 && first <= 0xf4;
        code = first & (0x3f >> more);
        for (let n = 0; good && n < more; n++) {
          const next = bytes[i];
          if (next >= (n === 0 ? low : 0x80) && next <= (n === 0 ? high : 0xbf)) (code = (code << 6) | (next & 0x3f)), i++;
          else good = false;
        }
        if (!good) {
          if (this.#fatal) throw new TypeError("these bytes are not utf-8");
          code = 0xfffd;
        }
      }
      codes.push(code);
      if (codes.length === 4096) parts.push(String.fromCodePoint(...codes)), (codes = []);
    }
    return parts.join("") + String.fromCodePoint(...codes);
  }
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function btoa(text) {
  const out = [];
  for (let i = 0; i < text.length; i += 3) {
    const codes = [0, 1, 2].map((n) => text.charCodeAt(i + n) || 0);
    if (codes.some((code) => code > 255)) throw new RangeError("btoa takes characters up to U+00FF; encode the text first");
    const bits = (codes[0] << 16) | (codes[1] << 8) | codes[2];
    const left = text.length - i;
    for (let n = 0; n < 4; n++) out.push(n <= left ? BASE64[(bits >> (18 - 6 * n)) & 63] : "=");
  }
  return out.join("");
}

function atob(text) {
  const clean = text.replace(/[\t\n\f\r ]/g, "").replace(/={1,2}$/, "");
  if (clean.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(clean)) throw new RangeError("this is no base64");
  const out = [];
  let bits = 0;
  let count = 0;
  for (const letter of clean) {
    bits = ((bits << 6) | BASE64.indexOf(letter)) & 0xffffff;
    count += 6;
    if (count >= 8) out.push(String.fromCharCode((bits >> (count -= 8)) & 255));
  }
  return out.join("");
}

const crypto = {
  getRandomValues(array) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    bytes.set(getRandomBytes(bytes.length));
    return array;
  },
  randomUUID() {
    const bytes = getRandomBytes(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  },
};

// The engine draws its seed when the plugin is built: every instance would draw the same numbers.
const engineRandom = Math.random;
let seed;
Math.random = () => {
  if (!life.called) return engineRandom();
  if (!seed) seed = new Uint32Array(new Uint8Array(getRandomBytes(16)).buffer);
  const draw = () => {
    // xoshiro128++
    const [a, b, c, d] = seed;
    const turn = (x, n) => (x << n) | (x >>> (32 - n));
    const result = turn(a + d, 7) + a;
    seed[2] = c ^ a;
    seed[3] = d ^ b;
    seed[1] = b ^ seed[2];
    seed[0] = a ^ seed[3];
    seed[2] ^= b << 9;
    seed[3] = turn(seed[3], 11);
    return result >>> 0;
  };
  return (draw() * 0x200000 + (draw() >>> 11)) / 2 ** 53;
};

// --- fetch --------------------------------------------------------------------------------------------------------------

class Headers {
  #entries = new Map();

  constructor(init = []) {
    const entries = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
    for (const [name, value] of entries) this.append(name, value);
  }

  append(name, value) {
    const there = this.get(name);
    this.set(name, there === null ? value : `${there}, ${value}`);
  }

  set(name, value) {
    this.#entries.set(String(name).toLowerCase(), String(value));
  }

  get(name) {
    return this.#entries.get(String(name).toLowerCase()) ?? null;
  }

  has(name) {
    return this.#entries.has(String(name).toLowerCase());
  }

  delete(name) {
    this.#entries.delete(String(name).toLowerCase());
  }

  forEach(f) {
    for (const [name, value] of this) f(value, name, this);
  }

  entries() {
    return this.#entries.entries();
  }

  keys() {
    return this.#entries.keys();
  }

  values() {
    return this.#entries.values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

class Response {
  #body;

  constructor(response) {
    this.status = response.status;
    this.ok = response.status >= 200 && response.status < 300;
    this.url = response.url;
    this.headers = new Headers(response.headers);
    this.#body = response.body;
  }

  async bytes() {
    return this.#body;
  }

  async arrayBuffer() {
    return this.#body.buffer.slice(this.#body.byteOffset, this.#body.byteOffset + this.#body.byteLength);
  }

  async text() {
    return new TextDecoder().decode(this.#body);
  }

  async json() {
    return JSON.parse(new TextDecoder().decode(this.#body));
  }
}

class URLSearchParams {
  #pairs = [];

  constructor(init = "") {
    if (typeof init === "string") {
      const plain = (text) => decodeURIComponent(text.replaceAll("+", " "));
      for (const pair of init.replace(/^\?/, "").split("&")) {
        if (pair === "") continue;
        const [name, ...value] = pair.split("=");
        this.append(plain(name), plain(value.join("=")));
      }
    } else {
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const [name, value] of pairs) this.append(name, value);
    }
  }

  append(name, value) {
    this.#pairs.push([String(name), String(value)]);
  }

  delete(name) {
    this.#pairs = this.#pairs.filter(([there]) => there !== name);
  }

  get(name) {
    return this.#pairs.find(([there]) => there === name)?.[1] ?? null;
  }

  getAll(name) {
    return this.#pairs.filter(([there]) => there === name).map(([, value]) => value);
  }

  has(name) {
    return this.#pairs.some(([there]) => there === name);
  }

  set(name, value) {
    this.delete(name);
    this.append(name, value);
  }

  [Symbol.iterator]() {
    return this.#pairs[Symbol.iterator]();
  }

  toString() {
    const escaped = (text) => encodeURIComponent(text.toWellFormed()).replaceAll("%20", "+");
    return this.#pairs.map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join("&");
  }
}

/** The part of the web's `fetch` that a bot needs. The host waits for the whole answer, so it is there when this returns. */
async function fetch(url, options = {}) {
  for (const key of Object.keys(options)) {
    if (!["method", "headers", "body", "timeout"].includes(key)) {
      throw new TypeError(`fetch has no option \`${key}\` here; it has method, headers, body, timeout (in milliseconds)`);
    }
  }
  const headers = new Headers(options.headers);
  let body = options.body ?? null;
  if (body instanceof URLSearchParams && !headers.has("content-type")) {
    headers.set("content-type", "application/x-www-form-urlencoded;charset=UTF-8");
  }
  if (typeof body === "string" || body instanceof URLSearchParams) body = new TextEncoder().encode(String(body));
  else if (body instanceof ArrayBuffer) body = new Uint8Array(body);
  else if (ArrayBuffer.isView(body)) body = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  else if (body !== null) throw new TypeError("the body of a request is text, bytes or URLSearchParams; use JSON.stringify");
  const method = String(options.method ?? "GET").toUpperCase();
  const timeout = options.timeout ?? null;
  try {
    return new Response(send({ method, url: String(url), headers: [...headers], body, timeout }));
  } catch (error) {
    if (error.payload === undefined) throw error;
    const refused = new TypeError(`fetch ${method} ${url}: ${sayPayload(error.payload)}`);
    refused.reason = error.payload.tag;
    throw refused;
  }
}

Object.assign(globalThis, {
  Promise,
  console,
  fetch,
  Headers,
  Response,
  URLSearchParams,
  TextEncoder,
  TextDecoder,
  atob,
  btoa,
  crypto,
  queueMicrotask: (f) => void jobs.push(f),
  setTimeout: (f, delay, ...args) => addTimer(f, delay, args, false),
  setInterval: (f, delay, ...args) => addTimer(f, delay, args, true),
  clearTimeout: clearTimer,
  clearInterval: clearTimer,
});
