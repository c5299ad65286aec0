import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startApi } from "../../testing/api.ts";
import { type Backend, startBalancer } from "../../testing/balancer.ts";
import { freshDatabase } from "../../testing/database.ts";
import { earlierVersion } from "../../testing/earlier_version.ts";
import { eventually } from "../../testing/eventually.ts";
import { startRollingLoad } from "../../testing/rolling_load.ts";
import { migrateWith, ROOT, type TaskProcess } from "../../testing/task_process.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { insertThresholds, readThresholds } from "../rollout/thresholds.ts";
import { setMode } from "../routes/routes_table.ts";
import { DRY_RUN_SECRET, startGateway, type TestGateway } from "../testing/gateway.ts";
import { startLegacyProcess } from "../testing/legacy_process.ts";

/** Sent in each phase of the update at least. */
const REQUESTS = 100;

const MODES: readonly [LegacyOperation, Mode][] = [
  ["getHealth", { name: "service" }],
  ["login", { name: "service" }],
  ["getTraceability", { name: "shadow" }],
  ["createLot", { name: "service" }],
  ["createQcDecision", { name: "shadow" }],
];

const earlier = await earlierVersion();
Deno.test.afterAll(async () => await earlier[Symbol.asyncDispose]());

Deno.test(`gateways share their routes and fail no request in an update from ${earlier.name} and on the way back`, async () => {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await freshDatabase({ migrated: false }));
  const { sql, url: databaseUrl } = database;
  await migrateWith(earlier.root, databaseUrl);
  await resetToSeed(sql, await loadSeed());
  const limits = { ...await readThresholds(sql), latency_slack_ms: 60_000 };
  await insertThresholds(sql, limits, { who: "test", why: "this machine may be busy" });
  for (const [operation, mode] of MODES) {
    await setMode(sql, { operation, mode, who: "test", why: "the first step" });
  }

  const apis = stack.use(startBalancer());
  const gateways = stack.use(startBalancer());
  const legacy = stack.use(await startLegacyProcess({ databaseUrl }));
  const roots = { old: earlier.root, new: ROOT };
  type Version = keyof typeof roots;
  const api = async (version: Version) => {
    const environment = { DRY_RUN_SECRET, ...version === "new" && { DRAIN_SECONDS: "1" } };
    const started = stack.use(
      await startApi({ databaseUrl, root: roots[version], environment }),
    );
    const backend = { url: started.url, readyUrl: `${started.url}/readyz` };
    apis.add(backend);
    return { ...started, backend };
  };
  const gateway = async (version: Version) => {
    const started = stack.use(
      await startGateway({
        databaseUrl,
        legacyUrl: legacy.url,
        serviceUrl: apis.url,
        root: roots[version],
        ...version === "new" && { environment: { UPSTREAM_TIMEOUT_SECONDS: "25" } },
      }),
    );
    const backend = { url: started.url, readyUrl: `${started.adminUrl}/readyz` };
    gateways.add(backend);
    await eventually(
      "it reads the routes",
      async () => (await started.modes()).login === "service",
    );
    return { ...started, backend };
  };
  const end = async (
    process: Pick<TaskProcess, "process"> & { readonly backend: Backend },
    balancer: typeof apis,
  ) => {
    await balancer.remove(process.backend);
    process.process.kill("SIGTERM");
    strictEqual((await process.process.status).code, 0);
  };
  const ready = (balancer: typeof apis, { backend }: { readonly backend: Backend }) =>
    eventually("it is ready", () => balancer.isReady(backend), { seconds: 60 });

  const [oldApi, oldGateway] = await Promise.all([api("old"), gateway("old")]);
  await Promise.all([ready(apis, oldApi), ready(gateways, oldGateway)]);
  const email = "admin@flowviz.com";
  const load = stack.use(await startRollingLoad({ sql, url: gateways.url, email, hasKeys: false }));
  const underLoad = async (...some: readonly { readonly backend: Backend }[]) => {
    const served = () => some.map(({ backend }) => gateways.served(backend) + apis.served(backend));
    const before = served();
    await eventually(
      "each process has served",
      () => {
        deepStrictEqual(load.failures, []);
        return served().every((count, i) => count - (before[i] ?? 0) >= REQUESTS);
      },
      { seconds: 120 },
    );
  };
  const allModes = (...some: readonly TestGateway[]) => Promise.all(some.map((one) => one.modes()));
  await underLoad(oldGateway);

  // The new gateway before its migration: it reads the routes, and forwards by them.
  const newGateway = await gateway("new");
  await underLoad(oldGateway, newGateway);
  await migrateWith(ROOT, databaseUrl);
  const newApi = await api("new");
  await ready(apis, newApi);
  await underLoad(oldGateway, newGateway, oldApi, newApi);

  const moved: Mode = { name: "canary", percent: 50 };
  await setMode(sql, {
    operation: "getTraceability",
    mode: moved,
    who: "test",
    why: "the next step",
  });
  await eventually("both use it", async () => {
    const modes = await allModes(oldGateway, newGateway);
    return modes.every(({ getTraceability }) => getTraceability === "canary");
  });
  await underLoad(oldGateway, newGateway);
  await Promise.all([end(oldApi, apis), end(oldGateway, gateways)]);
  await underLoad(newGateway, newApi);

  // The way back, on the new schema.
  const [apiAgain, gatewayAgain] = await Promise.all([api("old"), gateway("old")]);
  await Promise.all([ready(apis, apiAgain), ready(gateways, gatewayAgain)]);
  await underLoad(newGateway, gatewayAgain);
  await Promise.all([end(newApi, apis), end(newGateway, gateways)]);
  await underLoad(gatewayAgain);
  await load.stop();
  deepStrictEqual(load.failures, []);

  const [modes] = await allModes(gatewayAgain);
  deepStrictEqual(modes, {
    ...modes,
    ...Object.fromEntries(MODES.map(([operation, { name }]) => [operation, name])),
    getTraceability: "canary",
  });
  const stored = async (table: string) =>
    (await sql`select id from ${sql(table)}`).map(({ id }) => id);
  ok((await stored("lots")).length > load.stored.lots.length);
  deepStrictEqual(load.stored.lots.filter(not(await stored("lots"))), []);
  deepStrictEqual(load.stored.decisions.filter(not(await stored("qc_decisions"))), []);
  const outcomes = await sql<{ outcome: string }[]>`
    select distinct outcome from lotline.route_outcomes where outcome in ('same', 'different')`;
  deepStrictEqual(outcomes.map(({ outcome }) => outcome), ["same"]);
});

const not = (list: readonly string[]) => (one: string) => !list.includes(one);
