import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { eventually, withDeadline } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";
import {
  startTestGatewayServer,
  type TestGatewayServer,
  type TestGatewayServerOptions,
} from "../testing/gateway_server.ts";
import { leave, type LeavingClient } from "../testing/leaving_client.ts";
import { LEAVINGS, mayBeLost, WAYS_TO_SEND } from "../testing/leaving_writes.ts";
import {
  type RawResponse,
  rawResponse,
  type RawUpstream,
  startRawUpstream,
} from "../../testing/raw_upstream.ts";
import { createLog } from "../../log.ts";
import type { Exchange } from "./exchange.ts";
import { createDepartureLog, departureOf } from "./departure.ts";

const WRITES = 40;
const OK = rawResponse("201 Created", '{"ok":true}');

/** Responds after a few milliseconds, as a server with a database does. */
const afterMs = (ms: number): RawResponse => (socket) =>
  void setTimeout(() => socket.write(OK), ms);

/** A gateway before one server, the old one unless set. */
async function startPair(
  response: string | RawResponse = afterMs(5),
  { side = "legacy", ...options }: TestGatewayServerOptions & { side?: "legacy" | "service" } = {},
) {
  const upstream = await startRawUpstream(response);
  const gateway = await startTestGatewayServer({ [`${side}Url`]: upstream.url, ...options });
  return {
    upstream,
    front: gateway,
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when no request is in flight: the gateway can't be closed cleanly before. */
async function endOf({ server: gateway }: TestGatewayServer): Promise<void> {
  strictEqual(await withDeadline("all requests are over", gateway.close(60_000)), true);
}

/** The marks of the requests that reached a server, each as often as it arrived. */
function marksAt({ requests }: RawUpstream): string[] {
  return requests.flatMap((request) => /mark-\d+/.exec(request)?.[0] ?? []).sort();
}

const marks = (count: number) => Array.from({ length: count }, (_, at) => `mark-${at}`).sort();

const write = (mark: string, more = "") => {
  const body = JSON.stringify({ lot_code: mark });
  return `POST /api/lots HTTP/1.1\r\nHost: plant\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
};
const read = (target = "/api/health") => `GET ${target} HTTP/1.1\r\nHost: plant\r\n\r\n`;

for (const [way, sent] of Object.entries(WAYS_TO_SEND)) {
  Deno.test(`a write that is sent ${way} is executed once, however its client leaves`, async () => {
    await using pair = await startPair();
    const all: string[] = [];
    const losable = new Set<string>();
    const clients = Object.values(LEAVINGS).flatMap((leaving) =>
      Array.from({ length: WRITES }, async () => {
        const mark = `mark-${all.length}`;
        all.push(mark);
        if (mayBeLost(way, leaving)) losable.add(mark);
        const request = sent("/api/lots", JSON.stringify({ lot_code: mark }));
        const received = await leave(pair.front.port, { ...request, ...leaving });
        if (leaving.leaving === "half-closes") match(received, /\r\n\r\n\{"ok":true\}$/);
      })
    );
    await Promise.all(clients);
    await endOf(pair.front);
    const come = marksAt(pair.upstream);
    deepStrictEqual(come, [...new Set(come)], "none comes twice");
    const isSure = (mark: string) => !losable.has(mark);
    deepStrictEqual(come.filter(isSure), all.filter(isSure).sort());
  });
}

Deno.test("a client that half-closes gets the response to a read, and those to all that it sent before", async () => {
  await using pair = await startPair((socket, request) => {
    setTimeout(() => socket.write(rawResponse("200 OK", request.split(" ")[1] ?? "")), 5);
  });
  const sent = read("/1") + write("mark-0") + read("/3");
  const received = await leave(pair.front.port, { pieces: [sent], leaving: "half-closes" });
  deepStrictEqual(received.match(/(?<=\r\n\r\n)\/[\w/]+?(?=HTTP|$)/g), ["/1", "/api/lots", "/3"]);
  deepStrictEqual(pair.front.departures, ["half_closed", "half_closed", "half_closed"]);
});

const LONG = 300_000;
const PARTS: [what: string, pieces: string[]][] = [
  ["one byte less than it said", [write("mark-0").slice(0, -1)]],
  ["no byte of its body", [write("mark-0").replace(/\r\n\r\n.*/, "\r\n\r\n")]],
  ["half of its head", ["POST /api/lots HTTP/1.1\r\nHost: pl"]],
  [
    "all chunks but the last",
    [
      "POST /api/lots HTTP/1.1\r\nHost: plant\r\nTransfer-Encoding: chunked\r\n\r\n",
      "6\r\nmark-0\r\n",
    ],
  ],
  [
    "most of a long body",
    [
      `POST /api/lots HTTP/1.1\r\nHost: plant\r\nContent-Length: ${LONG}\r\n\r\nmark-0`,
      "x".repeat(LONG - 7),
    ],
  ],
  [
    "most of a long body in chunks",
    [
      "POST /api/lots HTTP/1.1\r\nHost: plant\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nmark-0\r\n",
      `${LONG.toString(16)}\r\n${"x".repeat(LONG)}\r\n`,
    ],
  ],
];
for (const [what, pieces] of PARTS) {
  for (const leaving of ["closes", "half-closes", "resets"] as const) {
    for (const headTimeoutMs of [0, 1_000]) {
      const when = headTimeoutMs === 0 ? "while it is passed on" : "while its body arrives";
      Deno.test(`a write of which there is ${what} is not executed when its client ${leaving} ${when}`, async () => {
        await using pair = await startPair(OK, { limits: { headTimeoutMs } });
        const received = await leave(pair.front.port, { pieces, leaving, afterMs: 50 });
        await endOf(pair.front);
        deepStrictEqual(pair.upstream.requests, []);
        deepStrictEqual(pair.front.answered, [], "no side has failed");
        if (leaving === "half-closes") match(received, /^HTTP\/1\.1 400 |^$/);
      });
    }
  }
}

Deno.test("a long body that has arrived completely is passed on to its end even if its client has left", async () => {
  await using pair = await startPair(OK, { limits: { headTimeoutMs: 30 } });
  const body = `mark-0${"x".repeat(LONG)}`;
  const head = `POST /api/lots HTTP/1.1\r\nHost: plant\r\nContent-Length: ${body.length}\r\n\r\n`;
  await leave(pair.front.port, { pieces: [head + body], leaving: "closes" });
  await endOf(pair.front);
  strictEqual(pair.upstream.requests[0]?.endsWith(body), true);
});

Deno.test("a write with a running dry run is executed and compared when its client leaves", async () => {
  const dryRun = Promise.withResolvers<Exchange>();
  const begun = Promise.withResolvers<void>();
  await using pair = await startPair(OK, {
    mode: { name: "shadow" },
    dryRun: () => {
      begun.resolve();
      return dryRun.promise;
    },
  });
  const client = leave(pair.front.port, {
    pieces: [write("mark-0")],
    leaving: "resets",
    afterMs: 20,
  });
  await withDeadline("the dry run begins", begun.promise);
  await client;
  await settled();
  strictEqual(pair.upstream.requests.length, 0);
  dryRun.resolve({ failure: "timeout", ms: 300 });
  await eventually("it is compared", () => pair.front.observed.length === 1);
  deepStrictEqual(marksAt(pair.upstream), ["mark-0"]);
  deepStrictEqual(pair.front.answered, ["createLot legacy 201"]);
  deepStrictEqual(pair.front.found, []);
  deepStrictEqual(pair.front.departures, ["carried_out"]);
});

Deno.test("when its client has left, a write goes to the old server if Lotline is unavailable", async () => {
  await using pair = await startPair(OK, { mode: { name: "service" } });
  await leave(pair.front.port, { pieces: [write("mark-0")], leaving: "resets" });
  await endOf(pair.front);
  deepStrictEqual(marksAt(pair.upstream), ["mark-0"]);
});

Deno.test("a write that Lotline had begun is sent to no other upstream when its client leaves", async () => {
  await using legacy = await startRawUpstream(OK);
  await using pair = await startPair((socket) => socket.destroy(), {
    side: "service",
    mode: { name: "service" },
    legacyUrl: legacy.url,
  });
  await leave(pair.front.port, { pieces: [write("mark-0")], leaving: "resets" });
  await endOf(pair.front);
  strictEqual(pair.upstream.requests.length, 1);
  deepStrictEqual(legacy.requests, []);
  strictEqual(pair.front.lines.at(-1)?.status, 502);
});

Deno.test("a write is executed once by the old server when its client left while its route went back", async () => {
  let mode: { name: "legacy" | "service" } = { name: "service" };
  // Both connections of Lotline are in use, so that the write waits for one.
  await using legacy = await startRawUpstream(OK);
  await using pair = await startPair(() => {}, {
    side: "service",
    legacyUrl: legacy.url,
    modeNow: () => mode,
    upstream: { connections: 1 },
  });
  const holder = leave(pair.front.port, { pieces: [read("/api/audits")], leaving: "half-closes" });
  await eventually("Lotline is in use", () => pair.upstream.requests.length === 1);
  await leave(pair.front.port, { pieces: [write("mark-0")], leaving: "resets", afterMs: 5 });
  mode = { name: "legacy" };
  await eventually("the old server has it", () => legacy.requests.length > 0);
  deepStrictEqual(marksAt(legacy), ["mark-0"]);
  strictEqual(pair.upstream.requests.length, 1);
  await pair.upstream[Symbol.asyncDispose]();
  await holder;
});

Deno.test("a write waits for a free connection even if its client has left", async () => {
  await using pair = await startPair(afterMs(20), { upstream: { connections: 1 } });
  const clients = Array.from(
    { length: 10 },
    (_, at) => leave(pair.front.port, { pieces: [write(`mark-${at}`)], leaving: "resets" }),
  );
  await Promise.all(clients);
  await endOf(pair.front);
  deepStrictEqual(marksAt(pair.upstream), marks(10));
});

Deno.test("writes without their clients count as in flight, and end in time", async () => {
  await using pair = await startPair(() => {}, {
    limits: { inFlight: 2 },
    upstream: { responseTimeoutMs: 1_000 },
  });
  for (const mark of ["mark-0", "mark-1"]) {
    await leave(pair.front.port, { pieces: [write(mark)], leaving: "resets", afterMs: 5 });
  }
  await eventually("both are asked", () => pair.upstream.requests.length === 2);
  const send = () => leave(pair.front.port, { pieces: [read()], leaving: "half-closes" });
  match(await send(), /^HTTP\/1\.1 503 /);
  await endOf(pair.front);
  deepStrictEqual(pair.front.lines.slice(-2).map(({ status }) => status), [504, 504]);
});

Deno.test("a response without end doesn't hold a write whose client has left", async () => {
  let timer: ReturnType<typeof setInterval> | undefined;
  await using pair = await startPair((socket) => {
    socket.write("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n");
    timer = setInterval(() => socket.write("1\r\na\r\n"), 10);
  }, { upstream: { responseTimeoutMs: 200 } });
  await leave(pair.front.port, { pieces: [write("mark-0")], leaving: "resets" });
  await eventually("the response has begun", () => timer !== undefined);
  await endOf(pair.front);
  clearInterval(timer);
  deepStrictEqual(marksAt(pair.upstream), ["mark-0"]);
});

Deno.test("a stopping gateway executes writes whose clients have left, also those that wait to be accepted", async () => {
  await using pair = await startPair(afterMs(50));
  const go = Promise.withResolvers<void>();
  let waiting = 0;
  const onUsedConnections = Array.from({ length: WRITES / 2 }, (_, at) =>
    leave(pair.front.port, {
      first: read(),
      ready: () => {
        waiting++;
        return go.promise;
      },
      pieces: [write(`mark-${at}`)],
      leaving: "resets",
    }));
  await eventually("all have a connection in use", () => waiting === WRITES / 2);
  const onNewConnections = Array.from(
    { length: WRITES / 2 },
    (_, at) =>
      leave(pair.front.port, { pieces: [write(`mark-${WRITES / 2 + at}`)], leaving: "resets" }),
  );
  // Some of these are connected now, and none is accepted.
  const end = endOf(pair.front);
  go.resolve();
  await Promise.all([...onUsedConnections, ...onNewConnections, end]);
  deepStrictEqual(marksAt(pair.upstream), marks(WRITES));
});

Deno.test("a read is cancelled when its client leaves, and counts as no failure of an upstream", async () => {
  await using pair = await startPair(() => {}, { mode: { name: "shadow" }, compares: true });
  const client = leave(pair.front.port, { pieces: [read()], leaving: "resets", afterMs: 20 });
  await client;
  await eventually("it is given up", () => pair.front.departures.length > 0);
  await endOf(pair.front);
  deepStrictEqual(pair.front.departures, ["given_up"]);
  deepStrictEqual([pair.front.answered, pair.front.observed], [[], []]);
  deepStrictEqual(pair.front.found.map(({ outcome, cause }) => [outcome, cause]), [
    ["lost", "client_left"],
  ]);
  await eventually("its connection is closed", () => pair.upstream.open() === 0);
});

Deno.test("requests queued after another one end when their client leaves", async () => {
  await using pair = await startPair(() => {}, { limits: { inFlight: 3 } });
  const ahead = read("/1") + read("/2") + read("/3");
  await leave(pair.front.port, { pieces: [ahead], leaving: "resets", afterMs: 20 });
  await endOf(pair.front);
  deepStrictEqual(pair.front.departures, ["given_up", "given_up", "given_up"]);
});

Deno.test("a client that reads its response and then closes hasn't left", async () => {
  await using pair = await startPair();
  const client: LeavingClient = { first: write("mark-0"), pieces: [], leaving: "closes" };
  await leave(pair.front.port, client);
  await leave(pair.front.port, { ...client, first: write("mark-1", "Connection: close\r\n") });
  await endOf(pair.front);
  deepStrictEqual(pair.front.departures, []);
});

Deno.test("the log line of a request has its outcome when its client had left", async () => {
  await using pair = await startPair();
  await leave(pair.front.port, { pieces: [write("mark-0")], leaving: "resets" });
  await endOf(pair.front);
  const { status, client_left } = pair.front.lines.at(-1) ?? {};
  deepStrictEqual([status, client_left], [201, "carried_out"]);
});

Deno.test("the log counts departures once a minute for each kind, those of writes as warnings", () => {
  let text = "";
  const { log, flush } = createLog("info", (lines) => text += lines);
  const note = createDepartureLog(log);
  for (let times = 0; times < 3; times++) {
    note("createLot", "carried_out");
    note(undefined, "given_up");
  }
  flush();
  const lines = text.trim().split("\n").map((line) => JSON.parse(line));
  deepStrictEqual(
    lines.map(({ level, event, outcome, operation }) => [level, event, outcome, operation]),
    [
      ["warn", "client_left", "carried_out", "createLot"],
      ["info", "client_left", "given_up", "unknown"],
    ],
  );
});

for (
  const [isComplete, outlivesClient, departure] of [
    [true, true, "carried_out"],
    [true, false, "given_up"],
    [false, true, "incomplete"],
    [false, false, "incomplete"],
  ] as const
) {
  Deno.test(`complete: ${isComplete}, a write: ${outlivesClient}: ${departure}`, () => {
    strictEqual(departureOf({ isComplete, outlivesClient }), departure);
  });
}

/** Runs all pending events. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await delay(1);
}
