import { deepStrictEqual, ok } from "node:assert/strict";
import {
  type Import,
  importsOf,
  importsOfAll,
  readSource,
  sourceFiles,
} from "../contract-tests/imports.ts";

/** What the cutover may use of the service. */
const OF_THE_SERVICE = [
  "contract",
  "byte_buffer.ts",
  "client_address.ts",
  "host.ts",
  "json.ts",
  "read_bytes.ts",
  "db/address_log.ts",
  "db/certificates.ts",
  "db/clock_metrics.ts",
  "db/connect.ts",
  "db/direct_address.ts",
  "db/sql.ts",
  "db/pg_errors.ts",
  "db/session.ts",
  "db/servers.ts",
  "db/time_zone_sources.ts",
  "db/zone_names.ts",
  "db/query_deadline.ts",
  "db/journal.ts",
  "db/migrations.ts",
  "db/pool_metrics.ts",
  "db/processes.ts",
  "db/storable.ts",
  "db/watch_database.ts",
  "config.ts",
  "errors.ts",
  "log.ts",
  "command_line.ts",
  "listen_error.ts",
  "task_help.ts",
  "telemetry",
  "uncaught_errors.ts",
  "terminal.ts",
  "timing.ts",
  // The recordings start from the rows of the demo plant.
  "dev/seed.ts",
];

// The lower floors that each floor may use. The gateway knows only the service's contract. It uses
// its connections and no statements, since it must not depend on what the service stores.
const FLOORS: Record<string, string[]> = {
  exchange: [],
  upstream: ["exchange"],
  routes: ["exchange"],
  evidence: ["routes", "exchange"],
  redact: ["evidence", "exchange"],
  compare: ["redact", "evidence", "exchange"],
  parity: ["compare", "redact", "upstream", "exchange"],
  record: ["parity", "compare", "redact", "exchange"],
  shadow: ["record", "compare", "redact", "evidence", "routes", "upstream", "exchange"],
  proxy: ["shadow", "evidence", "routes", "upstream", "exchange"],
  rollout: ["compare", "evidence", "routes", "exchange"],
  report: ["rollout", "parity", "compare", "evidence", "routes", "exchange"],
  admin: ["rollout", "routes", "exchange"],
  "retention.ts": ["evidence"],
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
    "retention.ts",
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
  // The stand-in is a separate program, as the old server is; it shares only the readers of
  // settings and addresses, and the help.
  legacy: [],
  // The settings and the version, which every floor may use.
  "config.ts": [],
  "build.ts": [],
};
const TOOLS = ["bench", "faults", "odd_requests", "practice", "testing"];

/** The folder or file of cutover/ that a path belongs to; undefined: none. */
const floorOf = (path: string) => /^cutover\/([^/]+)/.exec(path)?.[1];

const FILES = await sourceFiles((path) =>
  path === "cutover" ||
  path.startsWith("cutover/") && !path.endsWith("_test.ts") && !TOOLS.includes(floorOf(path) ?? "")
);

function isAllowed({ from, to }: Import): boolean {
  const [floor = "", target] = [floorOf(from), floorOf(to)];
  if (target !== undefined) {
    return target === floor || target === "config.ts" || target === "build.ts" ||
      FLOORS[floor]?.includes(target) === true;
  }
  if (floor === "legacy" && ["db/address.ts", "task_help.ts"].includes(to)) return true;
  if (floor === "legacy" || floor === "config.ts") return to === "config.ts";
  return OF_THE_SERVICE.some((one) => to === one || to.startsWith(`${one}/`));
}

Deno.test("imports of cutover/ point down, from floor to floor, and to few parts of the service", async () => {
  ok(FILES.includes("cutover/proxy/server.ts") && FILES.includes("cutover/main.ts"));
  const floors = [...new Set(FILES.map(floorOf))].filter((floor) => !floor?.endsWith(".ts"));
  deepStrictEqual(
    floors.sort(),
    Object.keys(FLOORS).filter((floor) => !floor.endsWith(".ts")).sort(),
  );
  deepStrictEqual((await importsOfAll(FILES)).filter((one) => !isAllowed(one)), []);
});

Deno.test("each floor uses only floors that are named before it", () => {
  const order = Object.keys(FLOORS);
  for (const [floor, below] of Object.entries(FLOORS)) {
    for (const one of below) ok(order.indexOf(one) < order.indexOf(floor), `${floor} → ${one}`);
  }
});

Deno.test("the import check finds an import in the wrong direction", () => {
  const wrong: [from: string, target: string][] = [
    ["cutover/legacy/server.ts", "../../db/lots.ts"],
    ["cutover/legacy/server.ts", "../../log.ts"],
    ["cutover/config.ts", "../jobs/config.ts"],
    ["cutover/config.ts", "../log.ts"],
    ["cutover/config.ts", "./proxy/server.ts"],
    ["cutover/routes/watch_routes.ts", "../../db/jobs.ts"],
    ["cutover/admin/admin.ts", "../../http/body.ts"],
    ["cutover/admin/admin.ts", "../../metrics.ts"],
    ["cutover/proxy/server.ts", "../../db/lots.ts"],
    ["cutover/proxy/server.ts", "../../http/paths.ts"],
    ["cutover/compare/compare.ts", "../../http/input.ts"],
    ["cutover/compare/compare.ts", "../../contract-tests/drift.ts"],
    ["cutover/shadow/shadow.ts", "../proxy/decide.ts"],
    ["cutover/exchange/operations.ts", "../routes/routing.ts"],
    ["cutover/rollout/verdict.ts", "../report/html.ts"],
    ["cutover/main.ts", "./testing/gateway_server.ts"],
  ];
  for (const [from, target] of wrong) {
    const [found] = importsOf(from, `import { x } from "${target}";`);
    ok(found !== undefined && !isAllowed(found), `${from} → ${target}`);
  }
});

Deno.test("only programs read the environment", async () => {
  const readers: string[] = [];
  for (const file of FILES) {
    if (/Deno\.env|process\.env/.test(await readSource(file))) readers.push(file);
  }
  deepStrictEqual(readers, [
    "cutover/cli/cutover_main.ts",
    "cutover/cli/parity_main.ts",
    "cutover/legacy/main.ts",
    "cutover/main.ts",
  ]);
});

Deno.test("everything that the programs send goes through one client", async () => {
  // `app.fetch` passes a request to a route; no connection is opened.
  const outward =
    /(?<!\bapp\.)\bfetch\(|\bDeno\.connect|\b(?:net|tls|http2?|https)\.(?:connect|request|get)\(|import \{[^}]*\b(?:request|get|Agent|createConnection)\b[^}]*\} from "node:|"undici"/;
  const senders: string[] = [];
  for (const file of FILES) if (outward.test(await readSource(file))) senders.push(file);
  deepStrictEqual(senders, ["cutover/upstream/upstream.ts"]);
});
