import { deepStrictEqual, ok } from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);
const NOT_OURS = /^(?:\.git|\.data|node_modules|client\/dist)\//;
/** Programs for people print; only the processes that run for long write log lines. */
const TOOLS =
  /^(?:.*\/)?(?:bench|dev|testing|faults|releasing|contract-tests|odd_requests|containers)\//;

async function* sources(folder = ""): AsyncGenerator<{ path: string; text: string }> {
  for await (const entry of Deno.readDir(new URL(folder || ".", ROOT))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory && !NOT_OURS.test(`${path}/`) && !TOOLS.test(`${path}/`)) {
      yield* sources(`${path}/`);
    } else if (entry.isFile && path.endsWith(".ts") && !path.endsWith("_test.ts")) {
      yield { path, text: await Deno.readTextFile(new URL(path, ROOT)) };
    }
  }
}

const LEVEL = /"(?:debug|info|warn|error)"/.source;
/** What stands behind a level, which stands in front of every event: a literal, or anything else. */
const AFTER_LEVEL = new RegExp(
  `(?<!\\.(?:on|once|off|emit)\\(\\s*)${LEVEL},\\s*(?:"([^"]*)"|([^\\s,\\])]+))`,
  "g",
);
/** Loops, failure logs and lines whose level is a variable have the event alone. */
const NAMED = new RegExp(
  [
    /\b(?:repeat|runLoop)\(\s*"([^"]*)"/,
    /\bcreate(?:Complaint|FailureLog)\([^"()]*"([^"]*)"/,
    /\bbound\(\s*"[^"]*",\s*"([^"]*)"/,
    /\blevel,\s*"([^"]*)"/,
  ].map(({ source }) => source).join("|"),
  "g",
);

interface Found {
  readonly path: string;
  readonly event: string;
}

const found: Found[] = [];
const unnamed: string[] = [];
for await (const { path, text } of sources()) {
  if (path === "log.ts" || path === "config.ts") continue;
  for (const [, literal, other] of text.matchAll(AFTER_LEVEL)) {
    if (literal !== undefined) found.push({ path, event: literal });
    // `event` is a parameter or a table's entry, which has its level and its name beside it.
    else if (other !== "event") unnamed.push(`${path}: ${other}`);
  }
  for (const [, ...names] of text.matchAll(NAMED)) {
    found.push({ path, event: names.find((name) => name !== undefined) ?? "" });
  }
}

Deno.test("every log line has a constant name in snake_case", () => {
  deepStrictEqual(unnamed, []);
  deepStrictEqual(found.filter(({ event }) => !/^[a-z]+(?:_[a-z]+)*$/.test(event)), []);
  ok(found.length > 40, `${found.length} were found`);
});

Deno.test("docs/log-events.md has a row for each event of the code, and no other", async () => {
  const page = await Deno.readTextFile(new URL("docs/log-events.md", ROOT));
  const [, service = "", cutover = ""] = page.split(/^## /m);
  const rows = (part: string) => [...part.matchAll(/^\| `([a-z_]+)`/gm)].map(([, name]) => name);
  const events = new Set(found.map(({ event }) => event));
  deepStrictEqual([...events].filter((event) => !page.includes(`| \`${event}\``)), []);
  // The cutover's folder goes away one day, before its part of the page does.
  const hasCutover = found.some(({ path }) => path.startsWith("cutover/"));
  const documented = [...rows(service), ...(hasCutover ? rows(cutover) : [])];
  deepStrictEqual(documented.filter((name = "") => !events.has(name)), []);
});
