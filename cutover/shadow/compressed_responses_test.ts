import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { gunzipSync, gzipSync } from "node:zlib";
// @ts-types="@types/compression"
import compression from "compression";
import { startLegacy } from "../legacy/server.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startApi } from "../../testing/api.ts";
import { captured } from "../testing/captured.ts";
import {
  COMPRESSING,
  type Compressing,
  startCompressingServer,
} from "../testing/compressing_server.ts";
import { startFaultyService } from "../../testing/faulty_service.ts";
import { freshDatabase } from "../../testing/database.ts";
import {
  differing,
  DRY_RUN_SECRET,
  givenResponse,
  routeOf,
  type ShadowRig,
  shadowRig,
} from "../testing/shadow_rig.ts";
import { createSender } from "../upstream/send.ts";
import { type CapturedRequest, type HeaderLines, headerOf } from "../exchange/exchange.ts";
import { isSafeOperation, type LegacyOperation } from "../exchange/operations.ts";

const seed = await loadSeed();
const database = await freshDatabase();
await resetToSeed(database.sql, seed);
await database.sql`
  update lots set metadata = metadata || ${database.sql.json({ notes: "as planned ".repeat(300) })}
  where lot_code = 'MIX-BATCH-88'`;
const old = await startLegacy({ databaseUrl: database.url, port: 0 });
const lotline = await startApi({ databaseUrl: database.url, environment: { DRY_RUN_SECRET } });
Deno.test.afterAll(async () => {
  for (const one of [lotline, old, database]) await one[Symbol.asyncDispose]();
});

const ALL_CODINGS: HeaderLines = [["Accept-Encoding", "gzip, deflate, br, zstd"]];
const JSON_TYPE: HeaderLines = [["Content-Type", "application/json"]];
let lots = 0;

/** One of each kind of client request. */
function requests(extra: HeaderLines): [LegacyOperation, CapturedRequest][] {
  const get = (target: string, method = "GET") => captured(method, target, "", extra);
  const post = (target: string, body: object) =>
    captured("POST", target, JSON.stringify(body), [...JSON_TYPE, ...extra]);
  const lot_code = `PACKED-${++lots}`;
  return [
    ["getHealth", get("/api/health")],
    ["getHealth", get("/api/health", "HEAD")],
    ["getTraceability", get("/api/traceability/MIX-BATCH-88")],
    ["getTraceability", get("/api/traceability/MIX-BATCH-88", "HEAD")],
    ["getTraceability", get("/api/traceability/NO-SUCH-LOT")],
    ["getTraceability", get("/api/traceability/A%00B")],
    ["login", post("/api/login", { email: seed.users[0]?.email })],
    ["login", post("/api/login", { email: "nobody@example.invalid" })],
    ["createLot", post("/api/lots", { lot_code, metadata: { notes: "as planned ".repeat(300) } })],
    ["createLot", post("/api/lots", { lot_code })],
    ["createLot", post("/api/lots", { lot_code: null })],
    ["createQcDecision", post("/api/qc-decisions", { decision: "PASS", notes: "x".repeat(3_000) })],
  ];
}

/** Sends requests as the gateway does, and compares the responses. */
async function send(
  { shadow }: ShadowRig,
  legacyUrl: string,
  sent: readonly [LegacyOperation, CapturedRequest][],
): Promise<string[]> {
  using client = createSender(legacyUrl, 4);
  const codings: string[] = [];
  for (const [operation, request] of sent) {
    const route = routeOf(operation);
    const at = Date.now();
    const dryRun = isSafeOperation(operation)
      ? undefined
      : await shadow.dryRun(request, operation, route);
    const response = givenResponse(await client.send(request, 10_000));
    codings.push(headerOf(response.headers, "content-encoding") ?? "");
    shadow.observe({
      operation,
      route,
      request,
      at,
      upstream: "legacy",
      response,
      ...dryRun && { dryRun },
    });
    // A code that the first of two writes takes.
    await shadow.drain(20_000);
  }
  return codings;
}

for (const encoding of ["gzip", "br", "deflate", "gzip, br;q=0.5", "*", "identity", ""]) {
  Deno.test(`an Express server that compresses returns the same as Lotline to a client that accepts "${encoding}"`, async () => {
    await using compressing = await startLegacy({
      databaseUrl: database.url,
      port: 0,
      before: [compression({ threshold: 1_000 })],
    });
    using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: lotline.url });
    const extra: HeaderLines = encoding === "" ? [] : [["Accept-Encoding", encoding]];
    const sent = requests(extra);
    const codings = await send(one, compressing.url, sent);

    deepStrictEqual(differing(one), []);
    strictEqual(one.findings.length, sent.length);
    ok(
      one.outcomes().every((outcome) => outcome === "same" || outcome === "approved"),
      String(one.outcomes()),
    );
    const isPlain = encoding === "identity" || encoding === "";
    strictEqual(codings.some((coding) => coding !== ""), !isPlain, String(codings));
  });
}

for (const [name, how] of Object.entries(COMPRESSING)) {
  Deno.test(`behind ${name}, the old server returns the same as Lotline`, async () => {
    await using compressing = await startCompressingServer(old.url, how);
    using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: lotline.url });
    const sent = [...requests(ALL_CODINGS), ...requests([])];
    const codings = await send(one, compressing.url, sent);

    deepStrictEqual(differing(one), []);
    ok(
      one.outcomes().every((outcome) => outcome === "same" || outcome === "approved"),
      String(one.outcomes()),
    );
    ok(codings.filter((coding) => coding === how.coding).length > 8, String(codings));
  });
}

Deno.test("Lotline behind a server that compresses returns the same as an old server that doesn't", async () => {
  await using compressing = await startCompressingServer(lotline.url, COMPRESSING.nginx);
  using one = shadowRig({ legacyUrl: old.url, serviceUrl: compressing.url });
  await send(one, old.url, requests(ALL_CODINGS));
  deepStrictEqual(differing(one), []);
});

Deno.test("a client's validator is valid on both upstreams, or on neither, with any compression", async () => {
  for (const [name, how] of Object.entries(COMPRESSING)) {
    await using compressing = await startCompressingServer(old.url, how);
    using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: lotline.url });
    using client = createSender(compressing.url, 1);
    const plain = captured("GET", "/api/traceability/MIX-BATCH-88", "", ALL_CODINGS);
    const { headers } = givenResponse(await client.send(plain, 10_000));
    const tag = headerOf(headers, "etag");
    const conditional = {
      ...plain,
      headers: [...ALL_CODINGS, ["If-None-Match", tag ?? "*"]] as const,
    };
    await send(one, compressing.url, [["getTraceability", conditional]]);
    deepStrictEqual(one.outcomes(), ["same"], name);
  }
});

const spoiled: Compressing = {
  ...COMPRESSING.nginx,
  pack: (body) => gzipSync(new TextDecoder().decode(body).replace('"540.0"', '"541.0"')),
};

Deno.test("a difference inside a compressed response is found, and stored as text", async () => {
  await using compressing = await startCompressingServer(old.url, spoiled);
  using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: lotline.url });
  const trace = captured("GET", "/api/traceability/MIX-BATCH-88", "", ALL_CODINGS);
  await send(one, compressing.url, [["getTraceability", trace]]);
  deepStrictEqual(differing(one), [{
    operation: "getTraceability",
    differences: [{ place: "body.central.weight_kg", legacy: '"541.0"', service: '"540.0"' }],
  }]);
  const kept = one.findings[0]?.exchange?.legacy;
  ok(new TextDecoder().decode(kept?.body).includes('"weight_kg":"541.0"'));
});

/** An unreadable response counts against no upstream: nothing was compared. */
const UNREADABLE: [what: string, how: Compressing][] = [
  ["in a coding that isn't known", { coding: "compress", pack: gzipSync }],
  ["in more codings than four", {
    coding: "gzip, gzip, gzip, gzip, gzip",
    pack: (body) => [1, 2, 3, 4, 5].reduce((packed: Uint8Array) => gzipSync(packed), body),
  }],
  ["that becomes too large", {
    coding: "gzip",
    pack: () => gzipSync(new Uint8Array(3_000_000)),
  }],
  ["that becomes too large halfway", {
    coding: "gzip, gzip",
    pack: () => gzipSync(gzipSync(new Uint8Array(300_000_000))),
  }],
];

for (const [what, how] of UNREADABLE) {
  Deno.test(`a response ${what} is counted as lost, and rolls nothing back`, async () => {
    await using compressing = await startCompressingServer(old.url, how);
    using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: lotline.url });
    const trace = captured("GET", "/api/traceability/MIX-BATCH-88", "", ALL_CODINGS);
    await send(one, compressing.url, [["getTraceability", trace]]);
    deepStrictEqual(one.outcomes(), ["lost"]);
    deepStrictEqual(one.logged.map(([level]) => level), ["warn"]);
  });
}

Deno.test("a difference in a long, well compressed trace is found", async () => {
  const metadata = database.sql.json({ notes: "as planned ".repeat(80_000) });
  await database.sql`
    insert into lots (lot_code, weight_kg, metadata) values ('PACKED-LONG', '540.0', ${metadata})`;
  await using compressing = await startCompressingServer(old.url, spoiled);
  using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: lotline.url });
  const trace = captured("GET", "/api/traceability/PACKED-LONG", "", ALL_CODINGS);
  await send(one, compressing.url, [["getTraceability", trace]]);
  deepStrictEqual(one.outcomes(), ["different"]);
  strictEqual(one.findings[0]?.differences[0]?.place, "body.central.weight_kg");
});

Deno.test("the status shows a failure of Lotline, also next to an unreadable response", async () => {
  for (const [what, how] of UNREADABLE) {
    await using compressing = await startCompressingServer(old.url, how);
    await using failing = await startFaultyService(
      lotline.url,
      (response) => ({ ...response, status: 404 }),
    );
    using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: failing.url });
    const trace = captured("GET", "/api/traceability/MIX-BATCH-88", "", ALL_CODINGS);
    await send(one, compressing.url, [["getTraceability", trace]]);
    deepStrictEqual(one.outcomes(), ["different"], what);
    strictEqual(one.findings[0]?.differences[0]?.place, "status");
  }
});

const BROKEN: [what: string, how: Compressing][] = [
  ["gzip that is cut", { coding: "gzip", pack: (body) => gzipSync(body).subarray(0, -9) }],
  ["brotli that is cut", {
    coding: "br",
    pack: (body) => COMPRESSING["Apache with brotli"].pack(body).subarray(0, -1),
  }],
  ["zstd that is cut", {
    coding: "zstd",
    pack: (body) => COMPRESSING.Caddy.pack(body).subarray(0, -1),
  }],
  ["deflate that is cut", {
    coding: "deflate",
    pack: (body) => COMPRESSING["a server with deflate"].pack(body).subarray(0, -5),
  }],
  ["JSON that says it is gzip", { coding: "gzip", pack: (body) => body }],
  ["JSON that says it is brotli", { coding: "br", pack: (body) => body }],
  ["JSON that says it is zstd", { coding: "zstd", pack: (body) => body }],
  ["JSON that says it is deflate", { coding: "deflate", pack: (body) => body }],
];

for (const [what, how] of BROKEN) {
  Deno.test(`${what} is a difference: no client could read it`, async () => {
    await using compressing = await startCompressingServer(old.url, how);
    using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: lotline.url });
    const trace = captured("GET", "/api/traceability/MIX-BATCH-88", "", ALL_CODINGS);
    await send(one, compressing.url, [["getTraceability", trace]]);
    deepStrictEqual(one.outcomes(), ["different"]);
    const [difference] = one.findings[0]?.differences ?? [];
    strictEqual(difference?.place, "body");
    ok(difference?.legacy?.endsWith(`bytes that aren't ${how.coding})`), difference?.legacy ?? "");
  });
}

Deno.test("JSON with an unknown coding is compared unchanged", async () => {
  const how = { coding: "UTF-8", pack: (body: Uint8Array) => body };
  await using compressing = await startCompressingServer(old.url, how);
  using one = shadowRig({ legacyUrl: compressing.url, serviceUrl: lotline.url });
  const sent = requests(ALL_CODINGS);
  await send(one, compressing.url, sent);
  deepStrictEqual(differing(one), []);
  ok(!one.outcomes().includes("lost"), String(one.outcomes()));
});

Deno.test("a compressed write whose reference is stored after its dry run is no difference", async () => {
  using one = shadowRig({ legacyUrl: old.url, serviceUrl: lotline.url });
  const id = crypto.randomUUID();
  const lot = { lot_code: `PACKED-${++lots}`, production_run_id: id };
  const headers: HeaderLines = [...JSON_TYPE, ["Content-Encoding", "gzip"]];
  const request = captured(
    "POST",
    "/api/lots",
    new Uint8Array(gzipSync(JSON.stringify(lot))),
    headers,
  );
  strictEqual(JSON.parse(gunzipSync(request.body).toString()).production_run_id, id);
  const route = routeOf("createLot");
  const at = Date.now();
  const dryRun = await one.shadow.dryRun(request, "createLot", route);
  strictEqual(givenResponse(dryRun).status, 409);
  await database.sql`insert into production_runs (id, run_code) values (${id}, ${id})`;
  using client = createSender(old.url, 1);
  const response = givenResponse(await client.send(request, 10_000));
  strictEqual(response.status, 201);
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
