import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { DRY_RUN_HEADER } from "../../contract/dry_run.ts";
import { startLegacy } from "../legacy/server.ts";
import { captured } from "../testing/captured.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { givenResponse, routeOf, shadowRig } from "../testing/shadow_rig.ts";
import { startBlackHole, startResponding } from "../../testing/test_server.ts";
import { createSender } from "../upstream/send.ts";
import type { Exchange } from "../exchange/exchange.ts";

const database = await freshDatabase();
await resetToSeed(database.sql, await loadSeed());
const old = await startLegacy({ databaseUrl: database.url, port: 0 });
const client = createSender(old.url, 4);

Deno.test.afterAll(async () => {
  client[Symbol.dispose]();
  await old[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

Deno.test("a write waits three times for a Lotline that doesn't respond, then not until the pause is over", async () => {
  let isDead = true;
  await using server = await startResponding((request, write) => {
    if (!isDead) write(422, '{"error":"No."}', { [DRY_RUN_HEADER]: "done" });
    else request.on("error", () => {});
  });
  using one = shadowRig({
    legacyUrl: old.url,
    serviceUrl: server.url,
    limits: { writeMs: 50, pauseMs: 100 },
  });
  const send = () =>
    one.shadow.dryRun(captured("POST", "/api/lots", "{}"), "createLot", routeOf("createLot"));
  const failureOf = (requested: Exchange) =>
    "failure" in requested ? requested.failure : requested.status;
  for (let i = 0; i < 3; i++) strictEqual(failureOf(await send()), "timeout");
  deepStrictEqual([await send(), await send()].map(failureOf), ["not_asked", "not_asked"]);
  deepStrictEqual(one.answered, [], "it had no time: that says nothing of Lotline");
  isDead = false;
  await eventually("it is asked again", async () => failureOf(await send()) === 422);
  strictEqual(failureOf(await send()), 422);
});

Deno.test("a dry run without a free slot is unanswered; one that fails counts against Lotline", async () => {
  let status = 503;
  await using server = await startResponding((_request, write) =>
    write(status, '{"error":"No."}', { [DRY_RUN_HEADER]: "done" })
  );
  using one = shadowRig({ legacyUrl: old.url, serviceUrl: server.url });
  const send = () =>
    one.shadow.dryRun(captured("POST", "/api/lots", "{}"), "createLot", routeOf("createLot"));
  await send();
  deepStrictEqual(one.answered, []);
  status = 500;
  await send();
  deepStrictEqual(one.answered, [["createLot", "service", 500]]);
});

Deno.test("after the pause one write tries it, the others don't wait", async () => {
  await using hole = await startBlackHole();
  using one = shadowRig({
    legacyUrl: old.url,
    serviceUrl: hole.url,
    limits: { writeMs: 100, pauseMs: 0 },
  });
  const send = () =>
    one.shadow.dryRun(captured("POST", "/api/lots", "{}"), "createLot", routeOf("createLot"));
  for (let i = 0; i < 3; i++) await send();
  const requested = await Promise.all([send(), send(), send(), send()]);
  deepStrictEqual(requested.map((one) => "failure" in one && one.failure), [
    "timeout",
    "not_asked",
    "not_asked",
    "not_asked",
  ]);
});

Deno.test("a server without dry runs gets at most one of them, which is reported", async () => {
  using one = shadowRig({ legacyUrl: old.url, serviceUrl: old.url });
  const lots = async () => (await database.sql`select 1 from lots`).length;
  const before = await lots();
  const send = (code: string) => {
    const request = captured("POST", "/api/lots", JSON.stringify({ lot_code: code }));
    return one.shadow.dryRun(request, "createLot", routeOf("createLot"));
  };
  for (let i = 0; i < 5; i++) ok("failure" in await send(`EFFECT-${i}`));
  const request = captured("POST", "/api/login", '{"email":"admin@flowviz.com"}');
  const response = givenResponse(await client.send(request, 10_000));
  const route = routeOf("login");
  one.shadow.observe({
    operation: "login",
    route,
    request,
    at: Date.now(),
    upstream: "legacy",
    response,
  });
  await one.shadow.drain(20_000);
  strictEqual(await lots(), before + 1);
  deepStrictEqual(one.outcomes(), ["different", "unanswered"]);
  deepStrictEqual(one.findings[0]?.differences, [
    { place: "dry run", service: "201 without x-lotline-dry-run: done" },
  ]);
  strictEqual(one.findings[0]?.operation, "createLot");
  deepStrictEqual(one.logged.map(([level]) => level), ["error"]);
  strictEqual(one.logged[0]?.[1], "dry_runs_stopped");
});

Deno.test("a refused dry run had no effect: it is reported, and the next one is sent", async () => {
  await using server = await startResponding((_, write) => write(403, '{"error":"no proof"}'));
  using one = shadowRig({ legacyUrl: old.url, serviceUrl: server.url });
  const request = captured("POST", "/api/qc-decisions", '{"decision":"PASS"}');
  const requested = [1, 2].map(() =>
    one.shadow.dryRun(request, "createQcDecision", routeOf("createQcDecision"))
  );
  deepStrictEqual((await Promise.all(requested)).map((one) => "failure" in one && one.failure), [
    "not_asked",
    "not_asked",
  ]);
  deepStrictEqual(one.outcomes(), []);
  deepStrictEqual(one.logged.map(([level]) => level), ["warn", "warn"]);
});
