import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parse } from "yaml";
import { DRY_RUN_HEADER } from "../contract/dry_run.ts";
import { ApiError } from "../errors.ts";
import { createMetrics } from "../metrics.ts";
import { ErrorResponse } from "../routes/responses.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { NO_EFFECTS } from "../testing/no_effects.ts";
import { delay } from "../timing.ts";
import { createRequestPipeline, type Step } from "./request_pipeline.ts";
import { App } from "./operation.ts";

const { api } = await apiOnSeed();

const { paths }: { paths: Record<string, object> } = parse(
  await Deno.readTextFile(new URL("../openapi.yaml", import.meta.url)),
);
/** Each path of the service and its methods, except HEAD and OPTIONS. */
const METHODS = new Map(
  Object.entries(paths).map(([path, operations]) => [
    path.replace("{lotCode}", "MIX-BATCH-88"),
    Object.keys(operations).map((method) => method.toUpperCase()),
  ]),
);
for (
  const path of ["/openapi.yaml", "/openapi.json", "/openapi-3.0.json", "/docs", "/docs/start.js"]
) {
  METHODS.set(path, ["GET"]);
}

for (const [path, methods] of METHODS) {
  const added = methods.includes("GET") ? ["HEAD", "OPTIONS"] : ["OPTIONS"];
  const allow = [...methods, ...added].sort().join(", ");
  Deno.test(`${path} allows ${allow}; every other method is 405 with Allow`, async () => {
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get1"]) {
      const { status, headers, json } = await api.send(path, { method });
      const isAllowed = methods.includes(method === "HEAD" ? "GET" : method);
      strictEqual(status === 405, !isAllowed, `${method} is ${status}`);
      strictEqual(headers.get("allow"), isAllowed ? null : allow, method);
      if (!isAllowed && method !== "HEAD") {
        deepStrictEqual(ErrorResponse.parse(json), { error: `This path answers ${allow}` });
      }
    }
  });
}

Deno.test("an unknown path is 404 for every method, or 400 when its body is broken", async () => {
  for (const method of ["GET", "POST", "PUT", "DELETE", "PROPFIND"]) {
    const { status, json } = await api.send("/api/lots/1", { method });
    deepStrictEqual([status, json], [404, {
      error: "There is nothing at this path: /openapi.yaml lists all paths",
    }], method);
  }
  strictEqual((await api.post("/nowhere", { a: 1 })).status, 404);
  strictEqual((await api.post("/nowhere", "{")).status, 400);
  strictEqual((await api.post("/nowhere", "x".repeat(102_401))).status, 413);
});

Deno.test("OPTIONS has a response on every path, 204 and no body", async () => {
  for (const path of ["/api/lots", "/api/health/", "/", "/nowhere", "/api/traceability/%zz"]) {
    const response = await api.send(path, {
      method: "OPTIONS",
      headers: { origin: "https://plant.example", "access-control-request-method": "POST" },
    });
    deepStrictEqual([response.status, response.text], [204, ""]);
    strictEqual(response.headers.get("access-control-allow-origin"), "*", path);
  }
});

Deno.test("a request keeps the id that it brings; without one it gets a new one", async () => {
  const brought = await api.get("/nowhere", { "x-request-id": "Plant-7_a.b" });
  strictEqual(brought.headers.get("x-request-id"), "Plant-7_a.b");
  const [one, two] = [await api.get("/livez"), await api.get("/livez")];
  match(one.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
  notStrictEqual(one.headers.get("x-request-id"), two.headers.get("x-request-id"));
});

/** A pipeline around two routes: one that waits for a signal, and one that fails. */
function smallService(
  inFlight: number,
  steps: readonly Step[] = [],
  stopping = new AbortController().signal,
) {
  const gate = Promise.withResolvers<void>();
  const app = new App();
  app.page("documents", "/wait", async (c) => {
    await gate.promise;
    return c.text("done");
  });
  app.page("documents", "/refuse", () => {
    throw new ApiError("too_many_logins", "Too many");
  });
  app.page("documents", "/fail", () => {
    throw new TypeError("secret of the inside");
  });
  const lines: Record<string, unknown>[] = [];
  const handle = createRequestPipeline({
    app,
    guard: () => ({}),
    cors: "any",
    readClient: () => ({ address: "127.0.0.1", secure: false }),
    limits: { bytes: 1024, deadlineMs: 1_000, inFlight },
    stopping,
    effects: NO_EFFECTS,
    steps,
    isSchemaBehind: () => false,
    metrics: createMetrics(),
    log: (level, event, fields) => {
      lines.push({ level, event, ...fields });
    },
  });
  const headers = { host: "localhost" };
  const get = (path: string, more: Record<string, string> = {}) =>
    handle(
      new Request(`http://localhost${path}`, { headers: { ...headers, ...more } }),
      "127.0.0.1",
    );
  return { get, letGo: gate.resolve, lines };
}

Deno.test("requests beyond the limit get 503, and later ones succeed", async () => {
  const { get, letGo } = smallService(3);
  const waiting = [get("/wait"), get("/wait"), get("/wait")];
  const refused = [get("/wait"), get("/nowhere")];
  letGo();
  for (const response of await Promise.all(refused)) {
    deepStrictEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
    deepStrictEqual(await response.json(), { error: "Too busy, try again soon" });
  }
  deepStrictEqual((await Promise.all(waiting)).map(({ status }) => status), [200, 200, 200]);
  // Each slot is free again, whether its request was executed, refused or failed.
  for (let i = 0; i < 4; i++) strictEqual((await get("/fail")).status, 500);
  deepStrictEqual(
    (await Promise.all([get("/wait"), get("/wait"), get("/wait")])).map(({ status }) => status),
    [200, 200, 200],
  );
});

Deno.test("once the process is stopping, each response ends its connection", async () => {
  const stopping = new AbortController();
  const { get } = smallService(1, [], stopping.signal);
  const connectionOf = async (path: string) => (await get(path)).headers.get("connection");
  strictEqual(await connectionOf("/fail"), null);
  stopping.abort();
  strictEqual(await connectionOf("/fail"), "close");
  strictEqual(await connectionOf("/nowhere"), "close");
});

Deno.test("a route that fails is 500: the cause is in the log and not in the response", async () => {
  const { get, lines } = smallService(1);
  const response = await get("/fail");
  deepStrictEqual([response.status, await response.json()], [500, {
    error: "Something went wrong on our side",
  }]);
  strictEqual(lines.length, 1);
  deepStrictEqual([lines[0]?.level, lines[0]?.status, lines[0]?.route], ["error", 500, "/fail"]);
  match(String(lines[0]?.error), /^TypeError: secret of the inside at /);
  ok(![...response.headers].flat().join().includes("secret"));
});

Deno.test("the refusal of a login is delayed by a second, and uses no slot during that time", async () => {
  const { get } = smallService(1);
  const began = performance.now();
  const refusals: Promise<Response>[] = [];
  let last = "nothing";
  for (let i = 0; i < 3; i++) {
    const refusal = get("/refuse");
    refusal.then(() => last = "refusal");
    refusals.push(refusal);
    // One at a time, which is the limit of this service, and then delayed.
    await delay(0);
  }
  strictEqual((await get("/fail")).status, 500);
  strictEqual(last, "nothing", "others wait for nothing");
  for (const refusal of refusals) strictEqual((await refusal).status, 429);
  ok(performance.now() - began > 990);
});

Deno.test("at most 10,000 refusals are delayed at a time; further ones are sent immediately", async () => {
  const { get } = smallService(20_000);
  let responded = 0;
  const refusals = Array.from({ length: 10_000 }, () => get("/refuse").then(() => responded++));
  strictEqual((await get("/refuse")).status, 429);
  strictEqual(responded, 0);
  await Promise.all(refusals);
});

Deno.test("a step may refuse a request, replace its effects and change its log line, and sees each error as a response", async () => {
  const seen: unknown[] = [];
  const outer: Step = async (request, facts, next) => {
    if (request.headers.has("x-refused")) throw new ApiError("role", "Refused by a step");
    facts.effects = { ...facts.effects, holdsBack: false };
    facts.logged = { by_a_step: true };
    const response = await next(request, facts);
    seen.push("outer", response.status, facts.operation);
    response.headers.set("x-step", "outer");
    return response;
  };
  const inner: Step = (request, facts, next) => {
    seen.push("inner", facts.effects.holdsBack);
    return next(request, facts);
  };
  const { get, lines } = smallService(1, [outer, inner]);
  const { status, headers } = await get("/refuse");
  deepStrictEqual([status, headers.get("x-step"), lines[0]?.by_a_step], [429, "outer", true]);
  deepStrictEqual(seen.splice(0), ["inner", false, "outer", 429, "documents"]);
  const refused = await get("/refuse", { "x-refused": "1" });
  deepStrictEqual([refused.status, refused.headers.get("x-step"), seen], [403, null, []]);
  strictEqual((await get("/nowhere")).status, 404);
  deepStrictEqual(seen, ["inner", false, "outer", 404, undefined]);
});

Deno.test("a pipeline without the dry run step ignores its header", async () => {
  const { get, letGo } = smallService(1);
  letGo();
  const { status, headers } = await get("/wait", { [DRY_RUN_HEADER]: "1" });
  deepStrictEqual([status, headers.get(DRY_RUN_HEADER)], [200, null]);
});
