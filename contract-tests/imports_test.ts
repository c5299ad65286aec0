import { deepStrictEqual, ok } from "node:assert/strict";
import { posix } from "node:path";

const ROOT = new URL("../", import.meta.url);

/** What the cutover may use of the service. */
const OF_THE_SERVICE = [
  "contract",
  "byte_buffer.ts",
  "client_address.ts",
  "host.ts",
  "read_bytes.ts",
  "db/connect.ts",
  "db/session.ts",
  "db/in_time.ts",
  "config.ts",
  "errors.ts",
  "log.ts",
  "terminal.ts",
  // The rows that the recordings begin from are those of the demo plant.
  "dev/seed.ts",
];

// What each part may use, parts or single files; the parts that everything may use come last.
const MAY_USE: Record<string, string[]> = {
  "main.ts": ["app.ts", "auth", "cache", "db"],
  "worker.ts": ["jobs", "cache", "db"],
  "app.ts": ["routes", "http", "lineage", "auth", "cache", "db"],
  routes: ["routes", "http", "lineage", "audit", "auth", "cache", "db"],
  jobs: ["jobs", "audit", "lineage", "cache", "auth", "db"],
  audit: ["audit", "lineage", "db"],
  lineage: ["lineage", "db"],
  http: ["http", "auth"],
  auth: ["auth", "cache", "db", "link_target.ts"],
  cache: ["cache", "db"],
  db: ["db"],
  contract: ["contract"],
  // A package of its own: its build copies the types.
  client: ["client", "contract/types.gen.ts"],
  // The cutover is a program beside the service, which knows of it what stands in the contract.
  // Connections, no statements: it must not depend on what the service stores.
  ...Object.fromEntries(
    Object.entries({
      exchange: [],
      upstream: ["exchange"],
      routes: ["exchange"],
      evidence: ["routes", "exchange"],
      compare: ["evidence", "exchange"],
      redact: ["evidence", "exchange"],
      parity: ["compare", "redact", "exchange"],
      record: ["parity", "compare", "redact", "exchange"],
      shadow: ["record", "compare", "redact", "evidence", "routes", "upstream", "exchange"],
      proxy: ["shadow", "evidence", "routes", "upstream", "exchange"],
      rollout: ["compare", "evidence", "routes", "exchange"],
      report: ["rollout", "compare", "evidence", "routes", "exchange"],
      admin: ["rollout", "routes", "exchange"],
      cli: [
        "admin",
        "report",
        "rollout",
        "proxy",
        "record",
        "parity",
        "compare",
        "redact",
        "evidence",
        "routes",
        "upstream",
        "exchange",
      ],
      "main.ts": [
        "admin",
        "rollout",
        "proxy",
        "shadow",
        "record",
        "redact",
        "compare",
        "evidence",
        "routes",
        "exchange",
      ],
      // The stand-in is a program of its own, as the old server is.
      legacy: [],
    }).map(([part, floors]) => [
      `cutover/${part}`,
      part === "legacy" ? [] : [...floors.map((floor) => `cutover/${floor}`), ...OF_THE_SERVICE],
    ]),
  ),
  "byte_buffer.ts": [],
  "client_address.ts": [],
  "clock.ts": [],
  "config.ts": [],
  "errors.ts": [],
  "gather.ts": [],
  "host.ts": [],
  "link_target.ts": [],
  "log.ts": ["clock.ts"],
  "metrics.ts": [],
  "read_bytes.ts": ["byte_buffer.ts", "errors.ts"],
  "terminal.ts": [],
};
const FOR_EVERYTHING = [
  "byte_buffer.ts",
  "client_address.ts",
  "clock.ts",
  "config.ts",
  "errors.ts",
  "gather.ts",
  "host.ts",
  "log.ts",
  "metrics.ts",
  "read_bytes.ts",
  "terminal.ts",
  "contract",
];
const ON_THEIR_OWN = new Set(["contract", "client", ...FOR_EVERYTHING]);
interface Import {
  readonly from: string;
  readonly to: string;
}

/** The folder, or the file at the top, that a path of the project belongs to; the cutover's have two. */
const partOf = (path: string) => path.split("/", path.startsWith("cutover/") ? 2 : 1).join("/");

async function filesOfService(): Promise<string[]> {
  const files: string[] = [];
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      const path = `${folder}${name}`;
      if (path !== "cutover" && !(partOf(path) in MAY_USE)) continue;
      // What `deno task client` has made of the others.
      if (path === "client/dist") continue;
      if (isDirectory) await visit(`${path}/`);
      else if (path.endsWith(".ts") && !path.endsWith("_test.ts")) files.push(path);
    }
  };
  await visit("");
  return files;
}

function importsOf(file: string, source: string): Import[] {
  const found = source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map(([, target]) => ({
    from: file,
    to: posix.normalize(posix.join(posix.dirname(file), target ?? "")),
  }));
}

function isAllowed({ from, to }: Import): boolean {
  const part = partOf(from);
  if (partOf(to) === part) return true;
  if (MAY_USE[part]?.some((one) => one === to || one === partOf(to))) return true;
  return !ON_THEIR_OWN.has(part) && !part.startsWith("cutover/") &&
    FOR_EVERYTHING.includes(partOf(to));
}

Deno.test("imports point one way: routes to cache and auth, those to the database, never back", async () => {
  const files = await filesOfService();
  ok(files.includes("routes/create_lot.ts") && files.includes("main.ts"), files.join());
  const imports: Import[] = [];
  for (const file of files) {
    imports.push(...importsOf(file, await Deno.readTextFile(new URL(file, ROOT))));
  }
  ok(imports.some(({ from, to }) => from === "routes/create_lot.ts" && to === "db/lots.ts"));
  deepStrictEqual(imports.filter((one) => !isAllowed(one)), []);
});

Deno.test("the import check sees what points the wrong way", () => {
  const wrong: [from: string, target: string][] = [
    ["db/lots.ts", "../routes/schemas.ts"],
    ["db/lots.ts", "../http/json.ts"],
    ["cache/valkey.ts", "../auth/keys.ts"],
    ["db/audits.ts", "../audit/kinds.ts"],
    ["audit/kinds.ts", "../routes/audit_shapes.ts"],
    ["routes/get_audit.ts", "../jobs/audit_genealogy.ts"],
    ["jobs/audit_genealogy.ts", "../routes/get_audit.ts"],
    ["http/body.ts", "../db/lots.ts"],
    ["routes/login.ts", "../app.ts"],
    ["routes/login.ts", "../cutover/legacy/server.ts"],
    ["contract/generate.ts", "../errors.ts"],
    ["main.ts", "./testing/api.ts"],
    ["main.ts", "./jobs/worker.ts"],
    ["routes/create_lot.ts", "../jobs/worker.ts"],
    ["jobs/worker.ts", "../routes/create_lot.ts"],
    ["lineage/walk.ts", "../jobs/worker.ts"],
    ["lineage/walk.ts", "../routes/create_lot.ts"],
    ["db/traces.ts", "../lineage/walk.ts"],
    ["db/jobs.ts", "../jobs/worker.ts"],
    ["cutover/legacy/server.ts", "../../db/lots.ts"],
    ["errors.ts", "./log.ts"],
    ["cutover/routes/watch_routes.ts", "../../db/jobs.ts"],
    ["cutover/admin/admin.ts", "../../http/body.ts"],
    ["cutover/admin/admin.ts", "../../metrics.ts"],
    ["routes/login.ts", "../cutover/exchange/route.ts"],
    ["jobs/relay.ts", "../cutover/routes/watch_routes.ts"],
    ["cutover/proxy/server.ts", "../../db/lots.ts"],
    ["cutover/proxy/server.ts", "../../http/paths.ts"],
    ["main.ts", "./cutover/proxy/server.ts"],
    ["cutover/compare/compare.ts", "../../http/json.ts"],
    ["cutover/compare/compare.ts", "../../contract-tests/drift.ts"],
    ["routes/create_lot.ts", "../cutover/exchange/route.ts"],
    ["routes/create_lot.ts", "../cutover/compare/error_form.ts"],
    ["cutover/shadow/shadow.ts", "../proxy/decide.ts"],
    ["cutover/exchange/operations.ts", "../routes/routing.ts"],
    ["client/client.ts", "../contract/dry_run.ts"],
    ["client/errors.ts", "../errors.ts"],
    ["routes/login.ts", "../client/client.ts"],
  ];
  for (const [from, target] of wrong) {
    const [found] = importsOf(from, `import { x } from "${target}";`);
    ok(found !== undefined && !isAllowed(found), `${from} → ${target}`);
  }
});

Deno.test("the client imports nothing from elsewhere but openapi-fetch", async () => {
  const packages: string[] = [];
  for (const file of await filesOfService()) {
    if (partOf(file) !== "client") continue;
    const source = await Deno.readTextFile(new URL(file, ROOT));
    const found = source.matchAll(/\b(?:from|import)\s*\(?\s*"([^."][^"]*)"/g);
    packages.push(...[...found].map(([, name = ""]) => name));
  }
  deepStrictEqual(packages, ["openapi-fetch"]);
});

Deno.test("settings are read in one place", async () => {
  const readers: string[] = [];
  for (const file of await filesOfService()) {
    const source = await Deno.readTextFile(new URL(file, ROOT));
    if (/Deno\.env|process\.env/.test(source)) readers.push(file);
  }
  // The programs hand the environment to config.ts; the stand-in is not part of the service.
  deepStrictEqual(readers.sort(), [
    "auth/keys_main.ts",
    "auth/user_main.ts",
    "config.ts",
    "cutover/cli/cutover_main.ts",
    "cutover/cli/parity_main.ts",
    "cutover/legacy/main.ts",
    "cutover/main.ts",
    "db/migrate_main.ts",
    "jobs/jobs_main.ts",
    "main.ts",
    "worker.ts",
  ]);
});

Deno.test("no part of the service opens connections but those to PostgreSQL and Valkey, the gateway's aside", async () => {
  // `app.router.fetch` hands a request to a route; nothing goes out.
  const outward =
    /(?<!\brouter\.)\bfetch\(|\bWebSocket\b|\bDeno\.connect|"(?:node:(?:https?|http2|net|tls|dgram)|redis|postgres|pg)"/;
  const openers: string[] = [];
  for (const file of await filesOfService()) {
    const source = await Deno.readTextFile(new URL(file, ROOT));
    // With a type nothing can be opened.
    if (outward.test(source.replaceAll(/^import type .*$/gm, ""))) openers.push(file);
  }
  for (const one of ["db/connect.ts", "cache/valkey.ts"]) ok(openers.includes(one), openers.join());
  // The client is no part of the service; the cutover is there to pass requests on, and to send again
  // what was recorded.
  const own = ["db", "cache", "client", "cutover"];
  deepStrictEqual(openers.filter((file) => !own.some((part) => file.startsWith(`${part}/`))), []);
});
