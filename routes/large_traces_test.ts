import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { Hono } from "hono";
import { onWrongServer, reportWrongServer } from "../db/servers.ts";
import { toApiError } from "../errors.ts";
import { respondHeld } from "../http/response.ts";
import { type RequestEnv, RequestState } from "../http/operation.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { eventually } from "../testing/eventually.ts";
import { NO_EFFECTS } from "../testing/no_effects.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { insertLargeTraces, insertStar } from "../testing/star.ts";
import { delay } from "../timing.ts";
import { textOf } from "./large_trace_body.ts";
import { createLargeTraces, LARGE_TRACE_LIMITS } from "./large_traces.ts";

const { api, sql, databaseUrl } = await apiOnSeed();

await insertLargeTraces(sql);

const NEVER = new AbortController().signal;
const pathOf = (code: string) => `/api/traceability/${code}`;

for (const code of ["HOT", "WARM", "BOTH", "UP", "FULL", "WIDE", "WIDE-1"]) {
  Deno.test(`the trace of ${code} has the validators of its text, for GET, HEAD and again`, async () => {
    const ours = await api.get(pathOf(code));
    const etag = ours.headers.get("etag") ?? "";
    const length = String(new TextEncoder().encode(ours.text).length);
    const head = await api.send(pathOf(code), { method: "HEAD" });
    deepStrictEqual(
      [head.status, head.text, head.headers.get("etag"), head.headers.get("content-length")],
      [200, "", etag, length],
    );
    const again = await api.get(pathOf(code), { "if-none-match": etag });
    deepStrictEqual([again.status, again.text, again.headers.get("etag")], [304, "", etag]);
  });
}

/** Sends small requests in a loop until a promise settles; returns their number and statuses. */
async function smallResponsesUntil(end: Promise<unknown>): Promise<[number, Set<number>]> {
  let isOver = false;
  const ending = end.finally(() => isOver = true);
  const statuses = new Set<number>();
  let rounds = 0;
  for (; !isOver; rounds++) {
    const paths = ["/livez", pathOf("MIX-BATCH-88"), pathOf("FULL-1")];
    for (const { status } of await Promise.all(paths.map((path) => api.get(path)))) {
      statuses.add(status);
    }
  }
  await ending;
  return [rounds, statuses];
}

Deno.test("six concurrent large traces and ordinary requests all get their responses, and don't delay each other", async () => {
  const began = performance.now();
  const large = Promise.all(Array.from({ length: 6 }, async () => {
    const response = await fetch(api.url + pathOf("HOT"));
    return [response.status, (await response.bytes()).length];
  }));
  const [beside, statuses] = await smallResponsesUntil(large);
  const took = performance.now() - began;
  const responses = await large;
  deepStrictEqual(responses, Array(6).fill([200, responses[0]?.[1]]));
  deepStrictEqual([...statuses], [200]);
  // Made on the event loop, six of them would let only a few others through.
  const [quiet] = await smallResponsesUntil(delay(took));
  ok(beside > quiet / 10, `${beside} rounds during them, and ${quiet} in as much time without`);
});

async function insertSameLink(parent: string, child: string, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 25_000) {
    await sql`
      insert into lot_genealogy (parent_lot_id, child_lot_id)
      select parent.id, child.id
      from lots parent, lots child, generate_series(1, ${Math.min(left, 25_000)}::int)
      where parent.lot_code = ${parent} and child.lot_code = ${child}`;
  }
}

Deno.test("a lot with more links than any plant has, or a trace of too many bytes, is 413 with a sentence", async () => {
  await sql`insert into lots (lot_code) values ('TOO-MANY'), ('TOO-MANY-1')`;
  await insertSameLink("TOO-MANY", "TOO-MANY-1", 250_000);
  const max = await fetch(api.url + pathOf("TOO-MANY"));
  strictEqual(max.status, 200);
  await max.body?.cancel();
  await insertStar(sql, {
    code: "TOO-WIDE",
    children: 1,
    metadata: JSON.stringify("x".repeat(90_000)),
  });
  await insertSameLink("TOO-WIDE", "TOO-WIDE-1", 2_000);
  await insertSameLink("TOO-MANY-1", "TOO-MANY", 1);
  const error = "The lot has more than 250000 links, or its trace more than 134217728 bytes: " +
    "take it in pages with POST /api/traces";
  for (const code of ["TOO-MANY", "TOO-WIDE"]) {
    const response = await api.get(pathOf(code));
    deepStrictEqual([response.status, response.json], [413, { error }]);
  }
  strictEqual((await api.get(pathOf("HOT"))).status, 200);
});

/** Large traces with the test's own bounds. */
const withLimits = (limits: Partial<typeof LARGE_TRACE_LIMITS>) =>
  createLargeTraces(databaseUrl, { ...LARGE_TRACE_LIMITS, ...limits });

Deno.test("a large trace is one snapshot, and a missing lot has none", async () => {
  using traces = withLimits({});
  strictEqual(await traces.find("NO-SUCH-LOT", NEVER), undefined);
  using body = await traces.find("WARM", NEVER);
  if (body === undefined) throw new Error("no body");
  strictEqual(JSON.parse(textOf(body)).children.length, 501);
  strictEqual(new TextEncoder().encode(textOf(body)).length, body.bytes);
  for (const bound of [{ maxLinks: 502 }, { maxBytes: body.bytes - 1 }]) {
    using bounded = withLimits(bound);
    await rejects(bounded.find("WARM", NEVER), { status: 413 });
  }
  using exact = withLimits({ maxLinks: 503, maxBytes: body.bytes });
  using same = await exact.find("WARM", NEVER);
  strictEqual(same?.etag, body.etag);
});

Deno.test("requests for one lot share a response that was started after they came, and none started before", async () => {
  using traces = withLimits({});
  const first = traces.find("HOT", NEVER);
  const [second, third] = [traces.find("HOT", NEVER), traces.find("HOT", NEVER)];
  const [one, two, three] = await Promise.all([first, second, third]);
  ok(one !== undefined && two !== undefined && three !== undefined);
  ok(one.blocks[0] !== two.blocks[0]);
  ok(two.blocks[0] === three.blocks[0]);
});

Deno.test("no response is started while the held ones leave no room; a waiting one starts when they do", async () => {
  using traces = withLimits({ maxBytes: 1_000_000, maxHeldBytes: 1_000_001 });
  const held = await traces.find("WARM", NEVER);
  let isThere = false;
  const next = traces.find("UP", NEVER).then((body) => {
    isThere = true;
    return body;
  });
  await delay(200);
  strictEqual(isThere, false);
  held?.[Symbol.dispose]();
  (await next)?.[Symbol.dispose]();
});

Deno.test("too many waiting requests get 503, one past its deadline too, and the next is served", async () => {
  const lock = await openTransaction(sql, "lock table lot_genealogy in access exclusive mode");
  using traces = withLimits({ maxWaiting: 2, deadlineMs: 500 });
  const requested = ["WARM", "UP", "HOT"].map((code) =>
    traces.find(code, NEVER).catch((error) => error.code)
  );
  deepStrictEqual(await Promise.all(requested), ["QUERY_DEADLINE", "QUERY_DEADLINE", "overloaded"]);
  await lock[Symbol.asyncDispose]();
  using patient = withLimits({});
  using body = await patient.find("WARM", NEVER);
  ok(body !== undefined);
});

Deno.test("a client that leaves during its large trace is no fault of the service", async () => {
  const before = api.log.lines.length;
  const gone = AbortSignal.timeout(100);
  const requested = [1, 2, 3].map(() => fetch(api.url + pathOf("HOT"), { signal: gone }));
  const taken = await Promise.allSettled(
    requested.map(async (response) => await (await response).bytes()),
  );
  ok(taken.some(({ status }) => status === "rejected"));
  await eventually("the requests are over", () => {
    const over = api.log.lines.slice(before).filter((line) => line.includes("/api/traceability"));
    return Promise.resolve(over.length === 3);
  });
  const failed = api.log.lines.slice(before).filter((line) => line.includes('"level":"error"'));
  deepStrictEqual(failed, []);
});

Deno.test("a client that has left leaves no work", async () => {
  await using _lock = await openTransaction(
    sql,
    "lock table lot_genealogy in access exclusive mode",
  );
  using traces = withLimits({});
  const atWork = async () => {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::int as count from pg_locks join pg_stat_activity using (pid)
      where application_name = 'lotline-large-traces' and datname = current_database()
        and not granted`;
    return row?.count;
  };
  const gone = new AbortController();
  const requested = traces.find("WARM", gone.signal);
  await eventually("the trace is being read", async () => await atWork() === 1);
  gone.abort(new Error("gone"));
  await rejects(requested, { message: "gone" });
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'lotline-large-traces' and datname = current_database()`;
  await eventually("nothing waits any more", async () => await atWork() === 0);
});

Deno.test("the thread ends with its trace when sessions of its address leave their server", async () => {
  using traces = withLimits({});
  const connections = async () =>
    (await sql`
      select from pg_stat_activity
      where application_name = 'lotline-large-traces' and datname = current_database()`).length;
  const report = () => reportWrongServer(databaseUrl, performance.now());
  // Those of the API's thread.
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'lotline-large-traces' and datname = current_database()`;
  await eventually("no other is open", async () => await connections() === 0);
  {
    using body = await traces.find("WARM", NEVER);
    ok(body !== undefined);
  }
  strictEqual(await connections(), 1);
  report();
  await eventually("an idle one ends", async () => await connections() === 0);
  const lock = await openTransaction(sql, "lock table lot_genealogy in access exclusive mode");
  const running = traces.find("UP", NEVER);
  await eventually("it waits for the lock", async () => await connections() === 1);
  // Within half a second of the first report it takes effect later.
  let hasLeft = false;
  using _left = onWrongServer(databaseUrl, () => hasLeft = true);
  report();
  await eventually("the sessions have left", () => hasLeft);
  await lock[Symbol.asyncDispose]();
  using body = await running;
  ok(body !== undefined);
  await eventually("a busy one ends", async () => await connections() === 0);
});

Deno.test("a connection that is lost is the database's failure, and the next trace uses another one", async () => {
  using traces = withLimits({});
  {
    await using _lock = await openTransaction(
      sql,
      "lock table lot_genealogy in access exclusive mode",
    );
    const requested = traces.find("WARM", NEVER);
    requested.catch(() => {});
    await eventually("the trace is being read", async () => {
      const lost = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'lotline-large-traces' and datname = current_database()
          and wait_event_type = 'Lock'`;
      return lost.length > 0;
    });
    await rejects(requested, (error) => toApiError(error).code === "database_away");
  }
  using body = await traces.find("WARM", NEVER);
  ok(body !== undefined);
});

const factsOf = () =>
  new RequestState(
    "GET",
    { template: "/", parameters: {}, methods: new Map() },
    "127.0.0.1",
    NO_EFFECTS,
    "id",
  );

Deno.test("a client that reads too slowly is cut off, and its response is released", async () => {
  let isReleased = false;
  const blocks = Array.from({ length: 4 }, () => new Uint8Array(1_000));
  const held = {
    etag: 'W/"1"',
    bytes: 4_000,
    blocks,
    [Symbol.dispose]: () => void (isReleased = true),
  };
  const lines: string[] = [];
  const app = new Hono<RequestEnv>().get(
    "/",
    (c) =>
      respondHeld(c, held, (_level, event) => lines.push(event), { stallMs: 50, wholeMs: 10_000 }),
  );
  const reader = (await app.request("/", {}, factsOf())).body?.getReader();
  strictEqual((await reader?.read())?.value?.length, 1_000);
  await eventually("it is released", () => Promise.resolve(isReleased));
  await rejects(async () => await reader?.read(), /too slow/);
  deepStrictEqual(lines, ["response_cut"]);
});

Deno.test("a response is released after it was read, after only its head, and when its client leaves", async () => {
  let held = 0;
  const app = new Hono<RequestEnv>().get("/", (c) => {
    held++;
    const blocks = Array.from({ length: 40 }, () => new Uint8Array(250_000));
    const response = {
      etag: 'W/"1"',
      bytes: 10_000_000,
      blocks,
      [Symbol.dispose]: () => void held--,
    };
    return respondHeld(c, response, () => {});
  });
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) =>
    // As the request pipeline requests it.
    app.fetch(
      new Request(request.url, { headers: request.headers }),
      Object.assign(factsOf(), { isHead: request.method === "HEAD" }),
    ));
  const url = `http://127.0.0.1:${server.addr.port}/`;
  strictEqual((await (await fetch(url)).bytes()).length, 10_000_000);
  const isReleased = () => eventually("it is released", () => Promise.resolve(held === 0));
  await isReleased();
  await fetch(url, { method: "HEAD" });
  await isReleased();
  strictEqual((await fetch(url, { headers: { "if-none-match": 'W/"1"' } })).status, 304);
  await isReleased();
  const reader = (await fetch(url)).body?.getReader();
  await reader?.read();
  strictEqual(held, 1);
  await reader?.cancel();
  await isReleased();
});
