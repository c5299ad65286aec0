import { deepStrictEqual, ok } from "node:assert/strict";
import {
  circles,
  type Import,
  importsOf,
  importsOfAll,
  readSource,
  sourceFiles,
} from "./imports.ts";

// What each part may use, parts or single files; the parts that everything may use come last.
const MAY_USE: Record<string, string[]> = {
  "main.ts": ["app.ts", "auth", "cache", "db", "telemetry"],
  "worker.ts": ["jobs", "cache", "db", "telemetry"],
  "app.ts": ["routes", "dry_run", "http", "lineage", "auth", "cache", "db"],
  // The checks read what each other part leaves behind, and serve nothing.
  doctor: ["command_line.ts", "doctor", "jobs", "auth", "cache", "db"],
  routes: ["routes", "http", "lineage", "audit", "auth", "cache", "db"],
  jobs: [
    "command_line.ts",
    "jobs",
    "audit",
    "lineage",
    "cache",
    "auth",
    "db",
    "telemetry/tracing.ts",
  ],
  audit: ["audit", "lineage", "db"],
  lineage: ["lineage", "db"],
  // A step of the request pipeline: only app.ts knows it.
  dry_run: ["dry_run", "http", "auth", "db"],
  // Of the database only the type of a write statement, and the error of a slow queue.
  http: ["http", "auth", "telemetry", "db/lanes.ts", "db/write.ts"],
  auth: ["command_line.ts", "auth", "cache", "db", "link_target.ts", "telemetry"],
  cache: ["cache", "db", "telemetry"],
  db: ["command_line.ts", "db", "telemetry"],
  // What a process tells of itself. What it serves for a part, the part gives it.
  telemetry: ["telemetry"],
  contract: ["contract", "json.ts"],
  // A separate package: its build copies the types.
  client: ["client", "contract/types.gen.ts"],
  "byte_buffer.ts": [],
  "client_address.ts": [],
  "clock.ts": [],
  "command_line.ts": ["config.ts", "task_help.ts", "terminal.ts"],
  // Settings that are addresses have their parser's sentences.
  "config.ts": ["cache/address.ts", "db/address.ts", "secret_files.ts"],
  // What an error of PostgreSQL means is said in one place.
  "errors.ts": ["db/lanes.ts", "db/link_error.ts", "db/pg_errors.ts", "db/problems.ts"],
  "batcher.ts": [],
  "host.ts": [],
  "json.ts": [],
  "link_target.ts": [],
  "listen_error.ts": [],
  "log.ts": ["clock.ts", "telemetry/tracing.ts"],
  "metrics.ts": ["telemetry/request_metrics.ts"],
  "read_bytes.ts": ["byte_buffer.ts", "errors.ts"],
  "secret_files.ts": ["shell_word.ts"],
  "shell_word.ts": [],
  "task_help.ts": ["deno.json", "secret_files.ts"],
  "terminal.ts": ["db/problems.ts"],
  "timing.ts": [],
  "uncaught_errors.ts": ["log.ts"],
  "version.ts": ["deno.json"],
};
const FOR_EVERYTHING = [
  "byte_buffer.ts",
  "client_address.ts",
  "clock.ts",
  "config.ts",
  "errors.ts",
  "batcher.ts",
  "host.ts",
  "json.ts",
  "listen_error.ts",
  "log.ts",
  "metrics.ts",
  "read_bytes.ts",
  "secret_files.ts",
  "shell_word.ts",
  "task_help.ts",
  "terminal.ts",
  "timing.ts",
  "uncaught_errors.ts",
  "contract",
  "version.ts",
];
const ON_THEIR_OWN = new Set(["contract", "client", ...FOR_EVERYTHING]);
/** The folder, or the file at the top, that a path of the project belongs to. */
const partOf = (path: string) => path.split("/", 1)[0] ?? path;

const FILES = await sourceFiles((path) =>
  // The output of `deno task client`.
  path !== "client/dist" && partOf(path) in MAY_USE && !path.endsWith("_test.ts")
);

function isAllowed({ from, to }: Import): boolean {
  const part = partOf(from);
  if (partOf(to) === part) return true;
  if (MAY_USE[part]?.some((one) => one === to || one === partOf(to))) return true;
  return !ON_THEIR_OWN.has(part) && FOR_EVERYTHING.includes(partOf(to));
}

Deno.test("imports point one way: routes to cache and auth, those to the database, never back", async () => {
  ok(FILES.includes("routes/create_lot.ts") && FILES.includes("main.ts"), FILES.join());
  const imports = await importsOfAll(FILES);
  ok(imports.some(({ from, to }) => from === "routes/create_lot.ts" && to === "db/lots.ts"));
  deepStrictEqual(imports.filter((one) => !isAllowed(one)), []);
});

Deno.test("the import check finds an import in the wrong direction", () => {
  const wrong: [from: string, target: string][] = [
    ["db/lots.ts", "../routes/schemas.ts"],
    ["db/lots.ts", "../http/input.ts"],
    ["cache/valkey.ts", "../auth/keys.ts"],
    ["db/audits.ts", "../audit/kinds.ts"],
    ["audit/kinds.ts", "../routes/audit_shapes.ts"],
    ["routes/get_audit.ts", "../jobs/audit_genealogy.ts"],
    ["jobs/audit_genealogy.ts", "../routes/get_audit.ts"],
    ["http/body.ts", "../db/lots.ts"],
    ["routes/login.ts", "../app.ts"],
    ["routes/login.ts", "../dry_run/step.ts"],
    ["http/request_pipeline.ts", "../dry_run/step.ts"],
    ["auth/sign_in.ts", "../dry_run/step.ts"],
    ["routes/login.ts", "../cutover/legacy/server.ts"],
    ["config.ts", "./cutover/config.ts"],
    ["worker.ts", "./cutover/config.ts"],
    ["jobs/config.ts", "../cutover/config.ts"],
    ["contract/generate.ts", "../errors.ts"],
    ["main.ts", "./testing/api.ts"],
    ["main.ts", "./jobs/worker.ts"],
    ["routes/create_lot.ts", "../jobs/worker.ts"],
    ["jobs/worker.ts", "../routes/create_lot.ts"],
    ["lineage/walk.ts", "../jobs/worker.ts"],
    ["lineage/walk.ts", "../routes/create_lot.ts"],
    ["db/traces.ts", "../lineage/walk.ts"],
    ["db/jobs.ts", "../jobs/worker.ts"],
    ["jobs/worker.ts", "../doctor/run_checks.ts"],
    ["doctor/run_checks.ts", "../routes/probes.ts"],
    ["errors.ts", "./log.ts"],
    ["routes/login.ts", "../cutover/exchange/route.ts"],
    ["jobs/relay.ts", "../cutover/routes/watch_routes.ts"],
    ["main.ts", "./cutover/proxy/server.ts"],
    ["routes/create_lot.ts", "../cutover/exchange/route.ts"],
    ["routes/create_lot.ts", "../cutover/compare/judge.ts"],
    ["client/client.ts", "../contract/dry_run.ts"],
    ["client/errors.ts", "../errors.ts"],
    ["routes/login.ts", "../client/client.ts"],
  ];
  for (const [from, target] of wrong) {
    const [found] = importsOf(from, `import { x } from "${target}";`);
    ok(found !== undefined && !isAllowed(found), `${from} → ${target}`);
  }
});

Deno.test("the client imports only its own files and openapi-fetch", async () => {
  const packages: string[] = [];
  for (const file of FILES) {
    if (partOf(file) !== "client" || file === "client/build.ts") continue;
    const source = await readSource(file);
    const found = source.matchAll(/\b(?:from|import)\s*\(?\s*"([^."][^"]*)"/g);
    packages.push(...[...found].map(([, name = ""]) => name));
  }
  deepStrictEqual(packages, ["openapi-fetch"]);
});

Deno.test("only programs read the environment", async () => {
  const readers: string[] = [];
  for (const file of FILES) {
    const source = await readSource(file);
    if (/Deno\.env|process\.env/.test(source)) readers.push(file);
  }
  // The programs pass it to readSettings.
  deepStrictEqual(readers.sort(), [
    "auth/keys_main.ts",
    "auth/restored_main.ts",
    "auth/user_main.ts",
    "db/grants_main.ts",
    "db/migrate_main.ts",
    "doctor/doctor_main.ts",
    "jobs/jobs_main.ts",
    "main.ts",
    "worker.ts",
  ]);
});

Deno.test("the service opens connections only to PostgreSQL and Valkey", async () => {
  // `app.router.fetch` passes a request to a route; no connection is opened.
  const outward =
    /(?<!\brouter\.)\bfetch\(|\bWebSocket\b|\bDeno\.connect|"(?:node:(?:https?|http2|net|tls|dgram)|redis|postgres|pg)"/;
  const openers: string[] = [];
  for (const file of FILES) {
    const source = await readSource(file);
    // A type opens no connection.
    if (outward.test(source.replaceAll(/^import type .*$/gm, ""))) openers.push(file);
  }
  for (const one of ["db/connect.ts", "cache/valkey.ts"]) ok(openers.includes(one), openers.join());
  // The client is no part of the service.
  const own = ["db", "cache", "client"];
  deepStrictEqual(openers.filter((file) => !own.some((part) => file.startsWith(`${part}/`))), []);
});

Deno.test("nothing outside of cutover/ imports it: no program, no test, no tool", async () => {
  const everything = await sourceFiles((path) =>
    !["cutover", "node_modules", "client/dist"].includes(path) && !path.startsWith(".")
  );
  ok(everything.includes("testing/api.ts") && everything.includes("http/paths_test.ts"));
  const imports = await importsOfAll(everything);
  deepStrictEqual(imports.filter(({ to }) => partOf(to) === "cutover"), []);
});

Deno.test("no files import each other in a circle", async () => {
  const everything = await sourceFiles((path) =>
    !["node_modules", "client/dist"].includes(path) && !path.startsWith(".")
  );
  deepStrictEqual(circles(await importsOfAll(everything)), []);
});

Deno.test("the check of circles finds one", () => {
  const imports = [["a", "b"], ["b", "c"], ["c", "b"], ["c", "d"], ["d", "e"]]
    .map(([from = "", to = ""]) => ({ from, to }));
  deepStrictEqual(circles(imports), [["b", "c"]]);
});
