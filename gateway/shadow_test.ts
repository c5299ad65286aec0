import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import net from "node:net";
import type { Answer } from "../contract-tests/exchange.ts";
import { startFaultyProxy } from "../contract-tests/planted_fault.ts";
import { loadSeed, resetToSeed } from "../contract-tests/seed.ts";
import { DRY_RUN_HEADER } from "../contract/dry_run.ts";
import { startLegacy } from "../legacy/server.ts";
import type { LogFields } from "../log.ts";
import { startApi } from "../testing/api.ts";
import { captured } from "../testing/captured.ts";
import { freshDatabase } from "../testing/database.ts";
import { startDryRunTwin } from "../testing/dry_run_twin.ts";
import { eventually } from "../testing/eventually.ts";
import { startTestServer } from "../testing/test_server.ts";
import { createAsker } from "./ask.ts";
import type { Evidence, Finding } from "./evidence.ts";
import type { Asked, CapturedAnswer, CapturedRequest } from "./exchange.ts";
import { headerOf } from "./header_lines.ts";
import { loadLiveRules } from "./live_approvals.ts";
import type { OldOperation } from "./operations.ts";
import { createRedactor } from "./redact.ts";
import type { Route, Side } from "./route.ts";
import { createShadow, type Shadow, type ShadowLimits } from "./shadow.ts";

const SECRET = "a secret of at least thirty-two characters";
const rules = await loadLiveRules();
const seed = await loadSeed();

const database = await freshDatabase();
const twinDatabase = await freshDatabase();
for (const { sql } of [database, twinDatabase]) await resetToSeed(sql, seed);
const old = await startLegacy({ databaseUrl: database.url, port: 0 });
const api = await startApi({ databaseUrl: database.url });
const twinApi = await startApi({ databaseUrl: twinDatabase.url });
const lotline = await startDryRunTwin({ url: api.url, twinUrl: twinApi.url, secret: SECRET });
const client = createAsker(old.url, 16);
const clientOfLotline = createAsker(lotline.url, 16);

Deno.test.afterAll(async () => {
  for (const one of [client, clientOfLotline]) one[Symbol.dispose]();
  for (const one of [lotline, twinApi, api, old, twinDatabase, database]) {
    await one[Symbol.asyncDispose]();
  }
});

/** Everything that was reported, and a way to compare. */
interface Rig extends Disposable {
  readonly shadow: Shadow;
  readonly findings: Finding[];
  readonly answered: [operation: string, side: Side, status: number][];
  readonly logged: [level: string, msg: string, fields?: LogFields][];
  outcomes(): string[];
}

function rig(
  options: { legacyUrl?: string; serviceUrl?: string; limits?: Partial<ShadowLimits> } = {},
): Rig {
  const findings: Finding[] = [];
  const answered: Rig["answered"] = [];
  const logged: Rig["logged"] = [];
  const evidence: Evidence = {
    answered: (operation, _route, side, status) => answered.push([operation, side, status]),
    found: (finding) => findings.push(finding),
  };
  const shadow = createShadow({
    legacyUrl: old.url,
    serviceUrl: lotline.url,
    dryRunSecret: SECRET,
    rules,
    evidence,
    redactor: createRedactor(SECRET),
    log: (level, msg, fields) => logged.push([level, msg, fields]),
    ...options,
  });
  return {
    shadow,
    findings,
    answered,
    logged,
    outcomes: () => findings.map(({ outcome }) => outcome),
    [Symbol.dispose]: () => shadow[Symbol.dispose](),
  };
}

const routeOf = (operation: OldOperation, name: "shadow" | "service" = "shadow"): Route => ({
  operation,
  mode: { name },
  epoch: 1,
  samplePercent: 100,
  latch: undefined,
});

function answerIn(asked: Asked): CapturedAnswer {
  if ("silence" in asked) throw new Error(`no answer: ${asked.silence}`);
  return asked;
}

/** A client's read that one side answers, then the comparison. */
async function read(
  { shadow }: Rig,
  operation: OldOperation,
  request: CapturedRequest,
  side: Side = "legacy",
): Promise<void> {
  const at = Date.now();
  const asker = side === "legacy" ? client : clientOfLotline;
  const answer = answerIn(await asker.ask(request, 10_000));
  const route = routeOf(operation, side === "legacy" ? "shadow" : "service");
  shadow.observe({ operation, route, request, at, side, answer });
}

/** A client's write: the dry run, then the old server, then the comparison. */
async function write({ shadow }: Rig, operation: OldOperation, body: unknown): Promise<number> {
  const path = operation === "createLot" ? "/api/lots" : "/api/qc-decisions";
  const request = captured("POST", path, JSON.stringify(body));
  const route = routeOf(operation);
  const at = Date.now();
  const dryRun = await shadow.dryRun(request, operation, route);
  const answer = answerIn(await client.ask(request, 10_000));
  shadow.observe({ operation, route, request, at, side: "legacy", answer, dryRun });
  return answer.status;
}

/** What was found to be different, without what was compared. */
function differing({ findings }: Rig) {
  return findings.filter(({ outcome }) => outcome === "different")
    .map(({ operation, differences }) => ({ operation, differences }));
}

const trace = (code: string) => captured("GET", `/api/traceability/${encodeURIComponent(code)}`);
const login = (email: string) => captured("POST", "/api/login", JSON.stringify({ email }));

Deno.test("every lot's trace, health and every login are the same on both sides, or as approved", async () => {
  using one = rig();
  const codes = seed.lots.map(({ lot_code }) => String(lot_code));
  for (const side of ["legacy", "service"] as const) {
    for (const code of [...codes, "NO-SUCH-LOT"]) {
      await read(one, "getTraceability", trace(code), side);
    }
    await read(one, "getHealth", captured("GET", "/api/health"), side);
    await read(one, "getHealth", captured("HEAD", "/api/health"), side);
  }
  for (const { email } of seed.users) await read(one, "login", login(String(email)));
  const tag = headerOf(answerIn(await client.ask(trace("MIX-BATCH-88"), 10_000)).headers, "etag");
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
  strictEqual(one.answered.length, one.findings.length, "asked once each");
  ok(one.findings.every(({ exchange }) => exchange === undefined), "what agrees isn't kept");
  const tokens = one.findings.filter(({ approvals }) => approvals.includes("real-token"));
  strictEqual(tokens.length, seed.users.length);
});

Deno.test("writes are the same, or as approved, and Lotline's answer is the dry run's", async () => {
  using one = rig();
  const code = `W-${crypto.randomUUID()}`;
  const writes: [OldOperation, unknown, number, string][] = [
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
  deepStrictEqual(one.answered.map(([, side, status]) => [side, status]), [
    ["service", 201],
    ["service", 409],
    ["service", 422],
    ["service", 201],
    ["service", 201],
    ["service", 422],
  ]);
});

const FAULTS: [what: string, spoil: (answer: Answer) => Answer, place: string][] = [
  [
    "a wrong scale in one number",
    body((text) => text.replace('"540.0"', '"540.00"')),
    "body.parents[0].weight_kg",
  ],
  ["a field more", body((text) => text.replace('"id":', '"x":1,"id":')), "body.central.x"],
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
    ({ headers: { "access-control-allow-origin": _gone, ...headers }, ...answer }) => ({
      ...answer,
      headers,
    }),
    "header access-control-allow-origin",
  ],
  ["no ETag", (answer) => ({ ...answer, etag: undefined }), "header etag"],
  ["another status", (answer) => ({ ...answer, status: 203 }), "status"],
];

function body(change: (text: string) => string): (answer: Answer) => Answer {
  return (answer) => ({ ...answer, body: change(answer.body) });
}

Deno.test("a fault of Lotline's is found and named, with both sides' answers", async () => {
  await Promise.all(FAULTS.map(async ([what, spoil, place]) => {
    await using proxy = await startFaultyProxy(api.url, spoil);
    using one = rig({ serviceUrl: proxy.url });
    await read(one, "getTraceability", trace("FG-DONER-X1"));
    await one.shadow.drain(20_000);
    deepStrictEqual(one.outcomes(), ["different"], what);
    strictEqual(one.findings[0]?.differences[0]?.place, place, what);
    strictEqual(one.findings[0]?.exchange?.request.target, "/api/traceability/FG-DONER-X1");
  }));
});

Deno.test("a change between the two answers is no difference", async () => {
  using one = rig();
  const request = trace("META-NULL");
  const at = Date.now();
  const answer = answerIn(await client.ask(request, 10_000));
  await database.sql`update lots set weight_kg = 77.70 where lot_code = 'META-NULL'`;
  const observed = {
    operation: "getTraceability",
    route: routeOf("getTraceability"),
    request,
  } as const;
  one.shadow.observe({ ...observed, at, side: "legacy", answer });
  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes(), ["raced"]);
  strictEqual(one.findings[0]?.differences[0]?.place, "body.central.weight_kg");
});

Deno.test("a Lotline that is a moment behind is late, not wrong", async () => {
  const request = trace("META-LIST");
  const stale = answerIn(await client.ask(request, 10_000));
  await database.sql`update lots set weight_kg = 77.70 where lot_code = 'META-LIST'`;
  let staleLeft = 1;
  await using behind = await startFaultyProxy(
    api.url,
    (answer) =>
      staleLeft-- > 0 ? { ...answer, body: new TextDecoder().decode(stale.body) } : answer,
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
  answerIn(await client.ask(request, 10_000));
  const answer = answerIn(await client.ask(request, 10_000));
  one.shadow.observe({
    operation: "createLot",
    route,
    request,
    at,
    side: "legacy",
    answer,
    dryRun,
  });
  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes(), ["raced"]);
});

Deno.test("what finds no place in the queue is counted as lost, at once", async () => {
  await using hole = await blackHole();
  using one = rig({ serviceUrl: hole.url, limits: { waiting: 3, atOnce: 2, askMs: 200 } });
  const answer = answerIn(await client.ask(trace("RAW-BEEF-001"), 10_000));
  const request = trace("RAW-BEEF-001");
  const observation = { request, at: Date.now(), side: "legacy", answer } as const;
  const of = { operation: "getTraceability", route: routeOf("getTraceability") } as const;
  for (let i = 0; i < 10; i++) one.shadow.observe({ ...of, ...observation });
  deepStrictEqual(one.outcomes(), Array(7).fill("lost"));
  const big = { ...answer, body: new Uint8Array(33 * 1_048_576) };
  using other = rig({ serviceUrl: hole.url });
  other.shadow.observe({ ...of, ...observation, answer: big });
  deepStrictEqual(other.outcomes(), ["lost"]);

  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes().slice(7), ["unanswered", "unanswered", "unanswered"]);
  deepStrictEqual(one.answered[0], ["getTraceability", "service", 0]);
  // There is room again.
  one.shadow.observe({ ...of, ...observation });
  const began = performance.now();
  await one.shadow.drain(10);
  ok(performance.now() - began < 150, "drain waits no longer than it is told");
});

const SILENT: [what: string, start: () => Promise<{ url: string } & AsyncDisposable>][] = [
  ["is gone", gone],
  ["resets the connection", () => socketServer((socket) => socket.resetAndDestroy())],
  ["answers too much", () => answering((_, write) => write(200, "x".repeat(300_000)))],
  ["can't answer now", () => answering((_, write) => write(503, '{"error":"later"}'))],
  [
    "has lost the database",
    () => answering((_, write) => write(500, '{"error":"terminating connection due to x"}')),
  ],
];

for (const [what, start] of SILENT) {
  Deno.test(`a Lotline that ${what} is unanswered, not different`, async () => {
    await using server = await start();
    using one = rig({ serviceUrl: server.url });
    await read(one, "getTraceability", trace("RAW-BEEF-001"));
    await one.shadow.drain(20_000);
    deepStrictEqual(one.outcomes(), ["unanswered"]);
  });
}

Deno.test("a write waits for a silent Lotline three times, then not until the pause is over", async () => {
  let isDead = true;
  await using server = await answering((request, write) => {
    if (!isDead) write(422, '{"error":"No."}', { [DRY_RUN_HEADER]: "done" });
    else request.on("error", () => {});
  });
  using one = rig({ serviceUrl: server.url, limits: { writeMs: 50, pauseMs: 100 } });
  const ask = () =>
    one.shadow.dryRun(captured("POST", "/api/lots", "{}"), "createLot", routeOf("createLot"));
  const silenceOf = (asked: Asked) => "silence" in asked ? asked.silence : asked.status;
  for (let i = 0; i < 3; i++) strictEqual(silenceOf(await ask()), "timeout");
  deepStrictEqual([await ask(), await ask()].map(silenceOf), ["not_asked", "not_asked"]);
  strictEqual(one.answered.length, 3, "who wasn't asked gave no answer");
  isDead = false;
  await eventually("it is asked again", async () => silenceOf(await ask()) === 422);
  strictEqual(silenceOf(await ask()), 422);
});

Deno.test("after the pause one write tries it, the others don't wait", async () => {
  await using hole = await blackHole();
  using one = rig({ serviceUrl: hole.url, limits: { writeMs: 100, pauseMs: 0 } });
  const ask = () =>
    one.shadow.dryRun(captured("POST", "/api/lots", "{}"), "createLot", routeOf("createLot"));
  for (let i = 0; i < 3; i++) await ask();
  const asked = await Promise.all([ask(), ask(), ask(), ask()]);
  deepStrictEqual(asked.map((one) => "silence" in one && one.silence), [
    "timeout",
    "not_asked",
    "not_asked",
    "not_asked",
  ]);
});

Deno.test("a server that knows no dry runs gets one of them at most, and that is told", async () => {
  using one = rig({ serviceUrl: old.url });
  const lots = async () => (await database.sql`select 1 from lots`).length;
  const before = await lots();
  const ask = (code: string) => {
    const request = captured("POST", "/api/lots", JSON.stringify({ lot_code: code }));
    return one.shadow.dryRun(request, "createLot", routeOf("createLot"));
  };
  for (let i = 0; i < 5; i++) ok("silence" in await ask(`EFFECT-${i}`));
  await read(one, "login", login("admin@flowviz.com"));
  await one.shadow.drain(20_000);
  strictEqual(await lots(), before + 1);
  deepStrictEqual(one.outcomes(), ["different", "unanswered"]);
  deepStrictEqual(one.findings[0]?.differences, [
    { place: "dry run", service: "201 without x-lotline-dry-run: done" },
  ]);
  strictEqual(one.findings[0]?.operation, "createLot");
  deepStrictEqual(one.logged.map(([level]) => level), ["error"]);
  match(one.logged[0]?.[1] ?? "", /SERVICE_URL/);
});

Deno.test("a dry run that is refused has had no effect: it is told, and the next one is asked", async () => {
  await using server = await answering((_, write) => write(403, '{"error":"no proof"}'));
  using one = rig({ serviceUrl: server.url });
  strictEqual(await write(one, "createQcDecision", { decision: "PASS" }), 201);
  strictEqual(await write(one, "createQcDecision", { decision: "PASS" }), 201);
  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes(), ["unanswered", "unanswered"]);
  deepStrictEqual(one.logged.map(([level]) => level), ["warn", "warn"]);
});

Deno.test("what is asked is what the client sent, but for what belongs to its connection", async () => {
  const seen: IncomingMessage[] = [];
  await using server = await answering((request, write) => {
    seen.push(request);
    write(200, "{}");
  });
  using one = rig({ serviceUrl: server.url });
  const request = {
    ...captured("GET", "/api/traceability/%C5%90%2F?a=../b"),
    headers: [
      ["Host", "plant.example"],
      ["Connection", "keep-alive, X-Own"],
      ["X-Own", "1"],
      ["Keep-Alive", "timeout=5"],
      ["If-None-Match", 'W/"1"'],
      ["Accept-Encoding", "identity"],
      ["X-Twice", "a"],
      ["X-Twice", "b"],
      ["X-Request-Id", "plant-7"],
      ["x-lotline-dry-run", "t=1,sig=made-up"],
    ] as const,
  };
  await read(one, "getTraceability", request);
  await one.shadow.drain(20_000);
  const [first] = seen;
  strictEqual(first?.url, "/api/traceability/%C5%90%2F?a=../b");
  const { host, connection: _connection, ...headers } = first?.headers ?? {};
  strictEqual(host, new URL(server.url).host);
  deepStrictEqual({ ...headers }, {
    "if-none-match": 'W/"1"',
    "accept-encoding": "identity",
    "x-twice": "a, b",
    "x-request-id": "plant-7-shadow",
  });
});

Deno.test("a route's share of the requests is compared, and none that can't be", () => {
  using one = rig();
  const wanted = (operation: OldOperation, route: Partial<Route>) =>
    Array.from(
      { length: 2_000 },
      () => one.shadow.wants(operation, { ...routeOf(operation), ...route }),
    )
      .filter((isWanted) => isWanted).length;
  strictEqual(wanted("getHealth", {}), 2_000);
  strictEqual(wanted("getHealth", { samplePercent: 0 }), 0);
  const tenth = wanted("getHealth", { samplePercent: 10 });
  ok(tenth > 100 && tenth < 320, String(tenth));
  strictEqual(wanted("getHealth", { mode: { name: "legacy" } }), 0);
  strictEqual(wanted("getHealth", { mode: { name: "service" } }), 2_000);
  // Lotline has executed it; the old server has no dry run.
  strictEqual(wanted("createLot", { mode: { name: "service" } }), 0);
  strictEqual(wanted("createLot", { mode: { name: "canary", percent: 10 } }), 2_000);
});

function answering(
  answer: (
    request: IncomingMessage,
    write: (status: number, body: string, headers?: Record<string, string>) => void,
  ) => void,
) {
  return startTestServer(createServer((incoming, outgoing) => {
    incoming.resume();
    answer(incoming, (status, text, headers = {}) => {
      outgoing.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
      outgoing.end(text);
    });
  }));
}

async function socketServer(onSocket: (socket: net.Socket) => void) {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Takes connections and says nothing. */
function blackHole() {
  return socketServer(() => {});
}

async function gone() {
  const server = await blackHole();
  await server[Symbol.asyncDispose]();
  return { url: server.url, [Symbol.asyncDispose]: () => Promise.resolve() };
}
