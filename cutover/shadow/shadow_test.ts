import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { ReceivedResponse } from "../parity/exchange.ts";
import { startFaultyProxy } from "../testing/planted_fault.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startLegacy } from "../legacy/server.ts";
import { startApi } from "../../testing/api.ts";
import { captured } from "../testing/captured.ts";
import { freshDatabase } from "../../testing/database.ts";
import {
  differing,
  DRY_RUN_SECRET,
  givenResponse,
  routeOf,
  type ShadowRig,
  shadowRig,
} from "../testing/shadow_rig.ts";
import { startResponding } from "../../testing/test_server.ts";
import { createSender } from "../upstream/send.ts";
import { type CapturedRequest, headerOf } from "../exchange/exchange.ts";
import { createRedactor } from "../redact/redact.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import type { Upstream } from "../exchange/route.ts";
import type { ShadowLimits } from "./shadow.ts";

const seed = await loadSeed();

const database = await freshDatabase();
await resetToSeed(database.sql, seed);
const old = await startLegacy({ databaseUrl: database.url, port: 0 });
const lotline = await startApi({
  databaseUrl: database.url,
  environment: { DRY_RUN_SECRET },
});
const client = createSender(old.url, 16);
const clientOfLotline = createSender(lotline.url, 16);

Deno.test.afterAll(async () => {
  for (const one of [client, clientOfLotline]) one[Symbol.dispose]();
  for (const one of [lotline, old, database]) {
    await one[Symbol.asyncDispose]();
  }
});

function rig(options: { serviceUrl?: string; limits?: Partial<ShadowLimits> } = {}): ShadowRig {
  return shadowRig({ legacyUrl: old.url, serviceUrl: lotline.url, ...options });
}

/** A client's read that one upstream responds to, then the comparison. */
async function read(
  { shadow }: ShadowRig,
  operation: LegacyOperation,
  request: CapturedRequest,
  upstream: Upstream = "legacy",
): Promise<void> {
  const at = Date.now();
  const sender = upstream === "legacy" ? client : clientOfLotline;
  const response = givenResponse(await sender.send(request, 10_000));
  const route = routeOf(operation, upstream === "legacy" ? "shadow" : "service");
  shadow.observe({ operation, route, request, at, upstream, response });
}

/** A client's write: the dry run, then the old server, then the comparison. */
async function write(
  { shadow }: ShadowRig,
  operation: LegacyOperation,
  body: unknown,
): Promise<number> {
  const path = operation === "createLot" ? "/api/lots" : "/api/qc-decisions";
  const request = captured("POST", path, JSON.stringify(body));
  const route = routeOf(operation);
  const at = Date.now();
  const dryRun = await shadow.dryRun(request, operation, route);
  const response = givenResponse(await client.send(request, 10_000));
  shadow.observe({ operation, route, request, at, upstream: "legacy", response, dryRun });
  return response.status;
}

const trace = (code: string) => captured("GET", `/api/traceability/${encodeURIComponent(code)}`);
const login = (email: string) => captured("POST", "/api/login", JSON.stringify({ email }));

Deno.test("every lot's trace, health and every login are the same on both sides, or as approved", async () => {
  using one = rig();
  const codes = seed.lots.map(({ lot_code }) => String(lot_code));
  for (const upstream of ["legacy", "service"] as const) {
    for (const code of [...codes, "NO-SUCH-LOT"]) {
      await read(one, "getTraceability", trace(code), upstream);
    }
    await read(one, "getHealth", captured("GET", "/api/health"), upstream);
    await read(one, "getHealth", captured("HEAD", "/api/health"), upstream);
  }
  for (const { email } of seed.users) await read(one, "login", login(String(email)));
  const tag = headerOf(
    givenResponse(await client.send(trace("MIX-BATCH-88"), 10_000)).headers,
    "etag",
  );
  const conditional = {
    ...trace("MIX-BATCH-88"),
    headers: [["If-None-Match", tag ?? ""]] as const,
  };
  await read(one, "getTraceability", conditional);
  await one.shadow.drain(20_000);

  deepStrictEqual(differing(one), []);
  const count = (outcome: string) => one.outcomes().filter((its) => its === outcome).length;
  strictEqual(count("approved"), seed.users.length);
  strictEqual(count("same"), 2 * (codes.length + 3) + 1);
  strictEqual(one.answered.length, one.findings.length, "requested once each");
  ok(one.findings.every(({ exchange }) => exchange === undefined), "what agrees isn't kept");
  const tokens = one.findings.filter(({ approvals }) => approvals.includes("real-token"));
  strictEqual(tokens.length, seed.users.length);
});

Deno.test("writes are the same, or as approved, and Lotline's response is the dry run's", async () => {
  using one = rig();
  const code = `W-${crypto.randomUUID()}`;
  const writes: [LegacyOperation, unknown, number, string][] = [
    [
      "createLot",
      { lot_code: code, weight_kg: "12.50", metadata: { b: 1, a: [1.5] } },
      201,
      "same",
    ],
    ["createLot", { lot_code: code }, 500, "approved"],
    ["createLot", { lot_code: `${code}-2`, lot_type: "raw" }, 500, "approved"],
    ["createLot", { lot_code: `${code}-3`, metadata: [1] }, 500, "approved"],
    ["createQcDecision", { decision: "PASS", notes: code }, 201, "same"],
    ["createQcDecision", { decision: "MAYBE" }, 500, "approved"],
  ];
  for (const [operation, body, status, outcome] of writes) {
    strictEqual(await write(one, operation, body), status);
    await one.shadow.drain(20_000);
    strictEqual(one.outcomes().at(-1), outcome, JSON.stringify(one.findings.at(-1)?.differences));
  }
  deepStrictEqual(one.answered.map(([, upstream, status]) => [upstream, status]), [
    ["service", 201],
    ["service", 409],
    ["service", 422],
    ["service", 201],
    ["service", 201],
    ["service", 422],
  ]);
});

Deno.test("a write whose target names a host as well is tried out like any other", async () => {
  using one = rig();
  const body = JSON.stringify({ lot_code: `HOST-${crypto.randomUUID()}` });
  const requested = await one.shadow.dryRun(
    captured("POST", "http://plant.example/api/lots?a=b", body),
    "createLot",
    routeOf("createLot"),
  );
  strictEqual(givenResponse(requested).status, 201);
});

const FAULTS: [
  what: string,
  spoil: (response: ReceivedResponse) => ReceivedResponse,
  place: string,
][] = [
  [
    "a wrong scale in one number",
    body((text) => text.replace('"540.0"', '"540.00"')),
    "body.parents[0].weight_kg",
  ],
  ["a field more", body((text) => text.replace('"id":', '"x":1,"id":')), "body.central.key-#"],
  [
    "two keys in another order",
    body((text) => text.replace(/("weight_kg":[^,]*),("temperature_c":[^,]*)/, "$2,$1")),
    "body.central (order of keys)",
  ],
  [
    "another time zone",
    body((text) => text.replace(/"created_at":"[^"]*"/, '"created_at":"2026-01-18T09:00:00.000Z"')),
    "body.central.created_at",
  ],
  [
    "a parent less",
    body((text) => text.replace(/"parents":\[.*\],"c/, '"parents":[],"c')),
    "body.parents[0]",
  ],
  [
    "a missing header",
    ({ headers: { "access-control-allow-origin": _gone, ...headers }, ...response }) => ({
      ...response,
      headers,
    }),
    "header access-control-allow-origin",
  ],
  ["no ETag", (response) => ({ ...response, etag: undefined }), "header etag"],
  ["another status", (response) => ({ ...response, status: 203 }), "status"],
];

function body(change: (text: string) => string): (response: ReceivedResponse) => ReceivedResponse {
  return (response) => ({ ...response, body: change(response.body) });
}

Deno.test("a fault of Lotline's is found and named, with both upstreams' responses", async () => {
  await Promise.all(FAULTS.map(async ([what, spoil, place]) => {
    await using proxy = await startFaultyProxy(lotline.url, spoil);
    using one = rig({ serviceUrl: proxy.url });
    const request = captured("GET", "/api/traceability/FG-DONER-X1?for=eva@plant.example");
    await read(one, "getTraceability", request);
    await one.shadow.drain(20_000);
    deepStrictEqual(one.outcomes(), ["different"], what);
    const shown = one.findings[0]?.differences[0]?.place.replace(/-[0-9a-f]{12}$/, "-#");
    strictEqual(shown, place, what);
    const target = one.findings[0]?.exchange?.request.target ?? "";
    match(target, /^\/api\/traceability\/FG-DONER-X1\?query-\w{12}$/, "no secret is reported");
  }));
});

Deno.test("a change between the two responses is no difference", async () => {
  using one = rig();
  const request = trace("META-NULL");
  const at = Date.now();
  const response = givenResponse(await client.send(request, 10_000));
  await database.sql`update lots set weight_kg = 77.70 where lot_code = 'META-NULL'`;
  const observed = {
    operation: "getTraceability",
    route: routeOf("getTraceability"),
    request,
  } as const;
  one.shadow.observe({ ...observed, at, upstream: "legacy", response });
  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes(), ["raced"]);
  strictEqual(one.findings[0]?.differences[0]?.place, "body.central.weight_kg");
});

Deno.test("a Lotline that is a moment behind is late, not wrong", async () => {
  const request = trace("META-LIST");
  const stale = givenResponse(await client.send(request, 10_000));
  await database.sql`update lots set weight_kg = 77.70 where lot_code = 'META-LIST'`;
  let staleLeft = 1;
  await using behind = await startFaultyProxy(
    lotline.url,
    (response) =>
      staleLeft-- > 0 ? { ...response, body: new TextDecoder().decode(stale.body) } : response,
  );
  using one = rig({ serviceUrl: behind.url });
  await read(one, "getTraceability", request);
  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes(), ["late"]);
});

Deno.test("with others writing all the time no comparison is a difference, and races are seen", async () => {
  using one = rig();
  let isOver = false;
  let changes = 0;
  const writer = async (n: number) => {
    while (!isOver) {
      await database.sql`update lots set weight_kg = ${`${changes++}.${n}0`}
        where lot_code in ('TWICE-CHILD', 'TWICE-PARENT')`;
      await database.sql`insert into lot_genealogy (parent_lot_id, child_lot_id)
        select p.id, c.id from lots p, lots c
        where p.lot_code = 'TWICE-PARENT' and c.lot_code = 'TWICE-CHILD' limit 1`;
      await database.sql`delete from lot_genealogy where id in (
        select g.id from lot_genealogy g join lots c on c.id = g.child_lot_id
        where c.lot_code = 'TWICE-CHILD' order by linked_at desc limit 2)`;
    }
  };
  const writers = [writer(1), writer(2)];
  const codes = ["TWICE-CHILD", "TWICE-PARENT", "MIX-BATCH-88"];
  for (let i = 0; i < 60; i++) {
    await read(
      one,
      "getTraceability",
      trace(codes[i % 3] ?? ""),
      i % 2 === 0 ? "legacy" : "service",
    );
  }
  const shared = Array.from({ length: 20 }, (_, i) => ({ lot_code: `RACE-${i >> 1}` }));
  await Promise.all(shared.map((lot) => write(one, "createLot", lot)));
  await one.shadow.drain(20_000);
  isOver = true;
  await Promise.all(writers);
  strictEqual(one.findings.length, 80);
  deepStrictEqual(differing(one), []);
  ok(
    one.outcomes().some((outcome) => outcome === "raced" || outcome === "late"),
    one.outcomes().join(),
  );
});

Deno.test("a lot that two clients store at once is raced for the one who lost", async () => {
  using one = rig();
  const code = `TWO-${crypto.randomUUID()}`;
  const request = captured("POST", "/api/lots", JSON.stringify({ lot_code: code }));
  const route = routeOf("createLot");
  const at = Date.now();
  // The twin would store what it is asked, so the other client comes after the dry run.
  const dryRun = await one.shadow.dryRun(request, "createLot", route);
  givenResponse(await client.send(request, 10_000));
  const response = givenResponse(await client.send(request, 10_000));
  one.shadow.observe({
    operation: "createLot",
    route,
    request,
    at,
    upstream: "legacy",
    response,
    dryRun,
  });
  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes(), ["raced"]);
});

Deno.test("a difference that can't be redacted is a difference all the same, of which nothing is kept", async () => {
  await using server = await startResponding((_, write) => write(203, "{}"));
  const redactor = {
    ...createRedactor(DRY_RUN_SECRET),
    finding: () => {
      throw new TypeError("Anna Kovács is no JSON");
    },
  };
  using one = shadowRig({ legacyUrl: old.url, serviceUrl: server.url, redactor });
  await read(one, "getTraceability", trace("RAW-BEEF-001"));
  await one.shadow.drain(20_000);
  deepStrictEqual(
    one.findings.map(({ outcome, differences, exchange }) => [outcome, differences, exchange]),
    [["different", [], undefined]],
  );
  deepStrictEqual(one.logged, [["error", "mismatch_not_stored", { error: "TypeError" }]]);
});

Deno.test("comparisons of responses with 2xx count as successes, those of errors and of heads don't", async () => {
  using one = rig();
  await read(one, "getTraceability", trace("RAW-BEEF-001"));
  await read(one, "getTraceability", trace("NO-SUCH-LOT"));
  await read(one, "getHealth", captured("HEAD", "/api/health"));
  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes().toSorted(), ["same", "same", "same"]);
  deepStrictEqual(one.covered, ["getTraceability success"]);
});

Deno.test("Lotline's response before the old server's is compared, without another request to it", async () => {
  using one = rig();
  const request = trace("RAW-BEEF-001");
  const response = givenResponse(await client.send(request, 10_000));
  const of = { operation: "getTraceability", route: routeOf("getTraceability") } as const;
  const observation = { ...of, request, at: Date.now(), upstream: "legacy", response } as const;
  const broken = { ...response, status: 500, body: new TextEncoder().encode('{"error":"x"}') };
  const earlier = [response, broken, { ...broken, status: 503 }, {
    failure: "reset",
    ms: 1,
  }] as const;
  for (const one_ of earlier) one.shadow.observe({ ...observation, earlier: one_ });
  await one.shadow.drain(20_000);
  deepStrictEqual(one.findings.map(({ outcome, cause }) => [outcome, cause]).toSorted(), [
    ["late", undefined],
    ["same", undefined],
    ["unanswered", "reset"],
    ["unanswered", "unavailable"],
  ]);
});

Deno.test("a Lotline that can't respond now is unanswered, not different", async () => {
  await using server = await startResponding((_, write) => write(503, '{"error":"later"}'));
  using one = rig({ serviceUrl: server.url });
  await read(one, "getTraceability", trace("RAW-BEEF-001"));
  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes(), ["unanswered"]);
  deepStrictEqual(one.answered, [["getTraceability", "service", 503]]);
});
