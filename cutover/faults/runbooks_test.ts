import { match, ok, strictEqual } from "node:assert/strict";
import { startFaultyService } from "../../testing/faulty_service.ts";
import { eventually } from "../../testing/eventually.ts";
import { type Rehearsal, rehearse } from "../../testing/runbook.ts";
import { type Cutover, startCutover } from "../testing/cutover.ts";
import {
  DRY_RUN_SECRET,
  GATEWAY_ADMIN_TOKEN,
  startGateway,
  type TestGateway,
} from "../testing/gateway.ts";
import { startLegacyProcess } from "../testing/legacy_process.ts";
import { startPlantClients } from "../testing/plant_clients.ts";

const OPERATION = "getTraceability";
const PER_SECOND = 100;
/** In bytes, far over what the gateway keeps of a body. */
const TOO_LARGE = 4_000_000;
/** The command for lost comparisons. */
const LOST = "lost:";

/** The only gateway of a cutover. */
function gatewayOf({ gateways: [gateway] }: Cutover): TestGateway {
  ok(gateway);
  return gateway;
}

/** A page's rehearsal on a cutover, whose `$OPERATION` is the trace. */
function rehearseOn(page: string, { database }: Cutover, gateway: TestGateway): Promise<Rehearsal> {
  return rehearse(page, {
    env: {
      OPERATION,
      DATABASE_URL: database.url,
      GATEWAY: gateway.url,
      ADMIN: gateway.adminUrl,
      GATEWAY_ADMIN_TOKEN,
    },
    log: [gateway.log],
  });
}

const modeOf = async (gateway: TestGateway) => (await gateway.modes())[OPERATION];

Deno.test("differences-found.md: a wrong scale is rolled back, found by the page's commands, and gone after its steps", async () => {
  let fault: "scale" | "size" | undefined = "scale";
  await using cutover = await startCutover({
    serviceUrl: (api) =>
      startFaultyService(api, (response) => ({
        ...response,
        body: fault === "scale"
          ? response.body.replace(/("central":\{.*?"weight_kg":")(\d+\.\d)\d*"/, '$1$20"')
          : response.body + (fault === "size" ? " ".repeat(TOO_LARGE) : ""),
      })),
    legacyUrl: async (databaseUrl) => {
      await using stack = new AsyncDisposableStack();
      const legacy = stack.use(await startLegacyProcess({ databaseUrl }));
      const { url } = stack.use(
        await startFaultyService(legacy.url, (response) => ({
          ...response,
          body: response.body + (fault === "size" ? "\n".repeat(TOO_LARGE) : ""),
        })),
      );
      const parts = stack.move();
      return { url, [Symbol.asyncDispose]: () => parts.disposeAsync() };
    },
  });
  const gateway = gatewayOf(cutover);
  await using clients = startPlantClients([gateway.url], { perSecond: PER_SECOND });
  await cutover.set({ name: "shadow" }, [OPERATION]);
  await eventually("the route is rolled back", async () => await modeOf(gateway) === "legacy");
  await clients.stop();

  await using page = await rehearseOn("differences-found", cutover, gateway);
  await page.run("First");
  const found = await page.run("Find the cause", { besides: LOST });
  match(found, /^@ body\.central\.weight_kg$/m);
  fault = undefined;
  await page.run("Repair");
  await eventually("the gateway compares", async () => await modeOf(gateway) === "shadow");
  const over = await page.run("Check that it is over", { seconds: 60 });
  // The columns same, approved, raced, late and different.
  match(over, /^getTraceability +shadow(?: +\d+){4} +0 /m);

  fault = "size";
  // A client that left would be another cause.
  await (await fetch(`${gateway.url}/api/traceability/MIX-BATCH-88`)).text();
  const lost = await page.run("Find the cause", { having: LOST, seconds: 60 });
  match(lost, /^getTraceability: lost: size/m);
  page.assertAllRan();
});

Deno.test("rolled-back.md: a route that failed is held, its reason is found, and a plan moves it again", async () => {
  let isBroken = true;
  await using cutover = await startCutover({
    serviceUrl: (api) =>
      startFaultyService(
        api,
        (response) => isBroken ? { ...response, status: 500 } : response,
      ),
  });
  const gateway = gatewayOf(cutover);
  await using clients = startPlantClients([gateway.url], { perSecond: PER_SECOND });
  await cutover.set({ name: "canary", percent: 10 }, [OPERATION]);
  await eventually("the route is rolled back", async () => await modeOf(gateway) === "legacy");

  await using page = await rehearseOn("rolled-back", cutover, gateway);
  await page.run("First");
  await eventually(
    "the kill switch is on",
    () => gateway.log.lines.some((line) => line.includes('"event":"kill_switch_on"')),
  );
  const found = await page.run("Find the cause");
  match(found, /"why":"[^"]*failed at Lotline|"why":"[^"]*unapproved difference/);
  isBroken = false;
  await page.run("Repair");
  await page.run("Check that it is over", { seconds: 60 });
  await eventually("the gateway compares", async () => await modeOf(gateway) === "shadow");
  await clients.stop();
  page.assertAllRan();
});

Deno.test("canary-share.md: all clients are one behind an unnamed proxy, and told apart once it is named", async () => {
  await using cutover = await startCutover({ gatewayEnvironment: { TRUSTED_PROXIES: "" } });
  const unnamed = gatewayOf(cutover);
  await cutover.set({ name: "canary", percent: 10 }, [OPERATION]);
  await using before = startPlantClients([unnamed.url], { perSecond: PER_SECOND });
  await using page = await rehearseOn("canary-share", cutover, unnamed);
  const seen = await page.run("What you see", { seconds: 60 });
  match(seen, /(nobody|everybody) was moved/);
  await page.run("First");
  await page.run("Find the cause", { seconds: 60 });
  strictEqual((await before.stop()).failures.join("\n"), "");
  unnamed.process.kill("SIGTERM");
  await unnamed.process.status;
  await using named = await startGateway({
    databaseUrl: cutover.database.url,
    legacyUrl: cutover.legacy.url,
    serviceUrl: cutover.api.url,
    environment: { DRY_RUN_SECRET, TRUSTED_PROXIES: "127.0.0.1" },
  });
  await page.run("Repair");
  await eventually("the gateway has the canary", async () => await modeOf(named) === "canary");
  await using clients = startPlantClients([named.url], { perSecond: PER_SECOND });
  await eventually("clients were served", () => clients.counts.requests > 200);
  await clients.stop();
  const over = await page.run("Check that it is over", { seconds: 60 });
  const [, moved, all] = /for (\d+) of (\d+) clients/.exec(over) ?? [];
  ok(Number(moved) > 0 && Number(moved) < Number(all) / 2, over);
  page.assertAllRan();
});
