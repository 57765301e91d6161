// Run by `node` in the project's folder: bundles the plugin's modules with what QuickJS lacks and the guards around the
// handlers, and makes a component of them. `process.argv[2]` is the file that says what to do; compile errors go to stderr,
// and stdout gets one line of JSON if the caller must know more: {"missing": [packages]} or {"refused": text}.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const { entry, world, wit, exports, types, out, color, typescript, target } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const project = process.cwd();
const require = createRequire(join(project, "package.json"));

const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

/** The packages that are needed, where Node.js finds them for this project; ends if one is not installed. */
function locate(names) {
  const found = {};
  const missing = [];
  for (const name of names) {
    try {
      found[name] = require.resolve(name === "typescript" ? "typescript/package.json" : name);
    } catch {
      missing.push(name);
    }
  }
  if (missing.length > 0) {
    tell({ missing });
    process.exit(1);
  }
  return found;
}

const tools = locate(["esbuild", "componentize-qjs", ...(typescript ? ["typescript"] : [])]);

function check() {
  const tsc = join(dirname(tools.typescript), "bin/tsc");
  const args = [tsc, "--noEmit", "--project", "tsconfig.json", "--pretty", String(color)];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.pipe(process.stderr, { end: false });
    child.on("error", (error) => {
      process.stderr.write(`tsc: ${error}\n`);
      resolve(false);
    });
    child.on("close", (code) => resolve(code === 0));
  });
}

async function make() {
  const esbuild = (await import(pathToFileURL(tools.esbuild))).default;
  const bundle = await esbuild
    .build({
      stdin: { contents: wrapper(), resolveDir: project, sourcefile: "#belfry/wrapper" },
      bundle: true,
      write: false,
      outfile: join(project, "bundle.js"),
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["worker", "browser", "module", "import", "default"],
      target,
      // The engine runs no jobs of promises in a synchronous call; see globals.js. It has no `using` either.
      supported: { "async-await": false, "async-generator": false, "for-await": false, using: false },
      keepNames: true,
      sourcemap: "external",
      sourcesContent: false,
      charset: "utf8",
      legalComments: "none",
      logLevel: "silent",
      loader: { ".txt": "text", ".md": "text" },
      plugins: [modules],
    })
    .catch(async (error) => {
      if (!error.errors) throw error;
      await print(esbuild, error.errors, "error");
      return null;
    });
  if (!bundle) return null;
  await print(esbuild, bundle.warnings, "warning");
  const text = (suffix) => bundle.outputFiles.find((file) => file.path.endsWith(suffix)).text;
  const sources = readMap(JSON.parse(text(".map")));
  const { componentize } = await import(pathToFileURL(tools["componentize-qjs"]));
  try {
    const { component } = await componentize({
      witPath: wit,
      world,
      jsSource: `${text("bundle.js")}\nglobalThis.__belfrySources = ${JSON.stringify(sources)};\n`,
      sync: true,
    });
    return component;
  } catch (error) {
    return explain(String(error?.message ?? error), sources);
  }
}

async function print(esbuild, messages, kind) {
  for (const text of await esbuild.formatMessages(messages, { kind, color })) process.stderr.write(text);
}

/** The module that is made a component: the guards first, the author's modules through them. */
function wrapper() {
  const lines = [
    'import "#belfry/globals";',
    'import { guard } from "#belfry/guard";',
    `import * as plugin from ${JSON.stringify(`./${entry}`)};`,
    `const types = ${JSON.stringify(types)};`,
  ];
  for (const [name, functions] of Object.entries(exports)) {
    const args = [JSON.stringify(entry), JSON.stringify(name), JSON.stringify(functions)].join(", ");
    lines.push(`export const ${name} = guard(plugin, ${args}, types);`);
  }
  return lines.join("\n");
}

const modules = {
  name: "belfry",
  setup(build) {
    build.onResolve({ filter: /^#belfry\// }, ({ path }) => ({ path: join(here, `${path.slice("#belfry/".length)}.js`) }));
    build.onResolve({ filter: /^[a-z][a-z0-9-]*:/ }, ({ path }) => {
      if (path.startsWith("node:")) {
        return { errors: [{ text: `a plugin has none of Node.js's modules: \`${path}\` is not there`, notes: [{ text: NO_NODE }] }] };
      }
      return { path, external: true };
    });
  },
};

const NO_NODE =
  "There are fetch, console, TextEncoder, timers, crypto.randomUUID and what `wit/` imports; files and sockets are not open to plugins.";

/**
 * Where each line of the bundle comes from: `files`, and `lines` of [line of the bundle, file, line in it], each valid for
 * the lines that follow too; file -1 is ours.
 */
function readMap(map) {
  const ours = relative(project, here);
  const files = map.sources.map((source) => (source.startsWith("#belfry/") || source.startsWith(`${ours}/`) ? null : source));
  const lines = [];
  let source = 0;
  let original = 0;
  let before = [0, -2, 0];
  map.mappings.split(";").forEach((line, generated) => {
    let first;
    for (const segment of line.split(",")) {
      const fields = decode(segment);
      if (fields.length < 4) continue;
      source += fields[1];
      original += fields[2];
      first ??= [generated + 1, files[source] === null ? -1 : source, original + 1];
    }
    first ??= [generated + 1, -1, 0];
    const goes = first[1] === before[1] && (first[1] === -1 || first[2] - before[2] === first[0] - before[0]);
    if (!goes) lines.push((before = first));
  });
  return { files: files.map((file) => file ?? ""), lines };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The numbers of one segment of a source map. */
function decode(segment) {
  const numbers = [];
  let value = 0;
  let shift = 0;
  for (const letter of segment) {
    const digit = DIGITS.indexOf(letter);
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >>> 1) : value >>> 1);
    value = shift = 0;
  }
  return numbers;
}

/** Says why the modules could not be evaluated. */
function explain(message, { files, lines }) {
  const refused = /\u0001([^\u0002]*)\u0002/.exec(message);
  if (refused) {
    tell({ refused: refused[1] });
    return null;
  }
  const mapped = message.replace(/^(\s*at .*?\(?)componentize-qjs:user\.js:(\d+)(?::\d+)?(\)?)$/gm, (_, before, line, after) => {
    const found = lines.findLast(([generated]) => generated <= Number(line));
    return found && found[1] >= 0 ? `${before}${files[found[1]]}:${found[2] + Number(line) - found[0]}${after}` : "";
  });
  const called = /unknown import: `([^`]+)` has not been defined/.exec(message);
  if (called) {
    process.stderr.write(
      `\`${called[1]}\` was called while a module was evaluated, which happens when the plugin is built: call it in a handler\n`,
    );
    return null;
  }
  process.stderr.write(`${mapped.replace(/\n\s*\n+/g, "\n")}\n`);
  return null;
}

// The types are checked while the component is made: neither waits for the other.
const checked = typescript ? check() : Promise.resolve(true);
const made = make().catch((error) => {
  process.stderr.write(`${error?.stack ?? error}\n`);
  return null;
});
const [good, component] = await Promise.all([checked, made]);
if (!good || !component) process.exit(1);
writeFileSync(out, component);
