// Stands between the host and the author's handlers: finds a misnamed export while the plugin is built, turns an exception
// into a failure with the author's own files and lines, and says in words what is wrong with a returned value.
import { describeError, inspect, life, settle } from "#belfry/globals";

/** Ends the build with this text. The driver cuts out what lies between the marks. */
function refuse(text) {
  throw new Error(`\u0001${text}\u0002`);
}

function list(names) {
  return names.length === 0 ? "nothing" : names.map((name) => `\`${name}\``).join(", ");
}

/** The functions of one exported interface, guarded. `functions` is what the WIT says of each. */
export function guard(plugin, file, iface, functions, types) {
  const names = Object.keys(functions);
  const shape = `export const ${iface} = { ${names.map((name) => `${name}(…) { … }`).join(", ")} };`;
  const found = plugin[iface] ?? plugin.default?.[iface];
  if (found === undefined) {
    refuse(
      `\`${file}\` does not export \`${iface}\`, which \`wit/world.wit\` promises; it exports ${list(Object.keys(plugin))}. ` +
        `Write \`${shape}\`, or take its line out of \`wit/world.wit\``,
    );
  }
  const guarded = {};
  for (const [name, { result, fails }] of Object.entries(functions)) {
    if (typeof found?.[name] !== "function") {
      const kind = typeof found === "object" && found !== null ? `it has ${list(Object.keys(found))}` : `it is a ${typeof found}`;
      refuse(`\`${iface}\` of \`${file}\` has no function \`${name}\`: ${kind}. Write \`${shape}\``);
    }
    guarded[name] = (...args) => {
      life.called = true;
      try {
        const value = settle(found[name](...args));
        const wrong = check(types, result, value, "");
        if (wrong) throw new TypeError(`${name} returned something else than it should: ${wrong}`);
        return value;
      } catch (error) {
        throw fail(types, fails, error);
      }
    };
  }
  return guarded;
}

/** What is thrown to the engine for `error`, so that the host gets a `failure` of it. */
function fail(types, fails, error) {
  // A failure that the author made; but not what a host function refused with, which looks alike.
  if (fails !== null && error?.payload !== undefined && !check(types, fails, error.payload, "")) {
    if (typeof error.payload === "object") return { payload: error.payload };
  }
  const words = describeError(error);
  if (fails === "string") return { payload: words };
  if (types[fails]?.variant?.some(([tag]) => tag === "permanent")) return { payload: { tag: "permanent", val: words } };
  // Its type of failure cannot carry words: they go to the log, and the engine stops the instance.
  console.error(words);
  return fails === "nothing" ? { payload: null } : new Error(words);
}

const NUMBERS = {
  u8: [0, 255],
  s8: [-128, 127],
  u16: [0, 65535],
  s16: [-32768, 32767],
  u32: [0, 4294967295],
  s32: [-2147483648, 2147483647],
  u64: [0, Number.MAX_SAFE_INTEGER],
  s64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

/** What is wrong with `value`, in words; undefined if nothing is. `type` is a number in `types`, or a name. */
function check(types, type, value, path) {
  const is = (wanted) => {
    const shown = inspect(value, 1);
    return `${path || "it"} must be ${wanted}, not ${shown.length > 200 ? `${shown.slice(0, 200)}…` : shown}`;
  };
  if (type === null) return undefined;
  if (type === "string") return typeof value === "string" ? undefined : is("a text");
  if (type === "bool") return typeof value === "boolean" ? undefined : is("true or false");
  if (type === "f32" || type === "f64") return typeof value === "number" ? undefined : is("a number");
  if (type === "char") return typeof value === "string" && [...value].length === 1 ? undefined : is("one character");
  if (typeof type === "string") {
    const range = NUMBERS[type];
    if (!range) return undefined;
    return Number.isInteger(value) && value >= range[0] && value <= range[1]
      ? undefined
      : is(`a whole number from ${range[0]} to ${range[1]}`);
  }
  const { record, variant, cases, option, items, tuple } = types[type];
  const at = (name) => (path ? `${path}.${name}` : name);
  if (record) {
    if (typeof value !== "object" || value === null) return is(`an object with ${list(record.map(([name]) => name))}`);
    for (const [name, field] of record) {
      if (value[name] === undefined && types[field]?.option === undefined) return `${path || "it"} lacks \`${name}\``;
      const wrong = check(types, field, value[name], at(name));
      if (wrong) return wrong;
    }
    const known = record.map(([name]) => name);
    const unknown = Object.keys(value).find((key) => !known.includes(key) && value[key] !== undefined);
    return unknown === undefined ? undefined : `${path || "it"} has no field \`${unknown}\`; there are ${list(known)}`;
  }
  if (variant) {
    const tags = variant.map(([tag]) => tag);
    if (typeof value !== "object" || value === null || typeof value.tag !== "string") {
      return is(`an object with \`tag\` (${list(tags)}) and \`val\``);
    }
    const found = variant.find(([tag]) => tag === value.tag);
    if (!found) return `${at("tag")} must be one of ${list(tags)}, not \`${value.tag}\``;
    return found[1] === null ? undefined : check(types, found[1], value.val, at("val"));
  }
  if (cases) return cases.includes(value) ? undefined : is(`one of ${list(cases)}`);
  if (option !== undefined) return value === null || value === undefined ? undefined : check(types, option, value, path);
  if (items !== undefined) {
    if (items === "u8" && value instanceof Uint8Array) return undefined;
    if (!Array.isArray(value)) return is(items === "u8" ? "a Uint8Array" : "an array");
    for (let i = 0; i < value.length; i++) {
      const wrong = check(types, items, value[i], `${path}[${i}]`);
      if (wrong) return wrong;
    }
    return undefined;
  }
  if (tuple) {
    if (!Array.isArray(value) || value.length !== tuple.length) return is(`an array of ${tuple.length}`);
    for (let i = 0; i < tuple.length; i++) {
      const wrong = check(types, tuple[i], value[i], `${path}[${i}]`);
      if (wrong) return wrong;
    }
  }
  return undefined;
}
