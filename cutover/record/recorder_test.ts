import { deepStrictEqual, doesNotMatch, ok, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { openTransaction } from "../../testing/open_transaction.ts";
import { delay } from "../../timing.ts";
import type { HeaderLines } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { isRecordable, MAX_BODY_CHARACTERS, recordedExchange } from "./recorded_exchange.ts";
import { createRecorder, type Offered } from "./recorder.ts";
import { createRedactor, type Redactor } from "../redact/redact.ts";
import {
  collectRecording,
  insertExchanges,
  listWanted,
  type RecordingOrder,
  type SeenExchange,
  startRecording,
} from "./recordings_table.ts";

const ORDER: RecordingOrder = { side: "legacy", perOperation: 3, seconds: 60 };
const silent = () => {};
const bytes = (text: string) => new TextEncoder().encode(text);

// Anna is all the personal data in this file.
const hide = (text: string) => text.replaceAll("Anna", "name-1");
const hideIn = ({ headers, body }: { headers: HeaderLines; body: Uint8Array }) => ({
  headers: headers.map(([name, value]) => [name, hide(value)] as const),
  body: bytes(hide(new TextDecoder().decode(body))),
});
const redactor: Pick<Redactor, "exchange"> = {
  exchange: (_operation, request, response) => ({
    request: { ...request, target: hide(request.target), ...hideIn(request) },
    response: { ...response, ...hideIn(response) },
  }),
};

function seen(number: number, operation: LegacyOperation = "getTraceability"): Offered {
  return {
    operation,
    upstream: "legacy",
    at: Date.UTC(2026, 10, 25) + number,
    request: {
      method: "GET",
      target: `/api/traceability/${number}?by=Anna`,
      headers: [["Host", "plant.example"], ["ACCEPT", "a"], ["Authorization", "Bearer Anna"]],
      body: bytes(""),
    },
    response: {
      status: 200,
      headers: [["Content-Type", "application/json"], ["ETag", 'W/"1"'], ["Date", "today"]],
      body: bytes(`{"by":"Anna"}`),
      ms: 3,
    },
  };
}

/** Offers `exchanges` again and again, as clients would, until `isEnough`. */
async function offerUntil(
  offer: (exchange: Offered) => void,
  exchanges: readonly Offered[],
  what: string,
  isEnough: () => Promise<boolean>,
) {
  await eventually(what, async () => {
    exchanges.forEach(offer);
    return await isEnough();
  });
}

Deno.test("what clients receive while a recording is on is kept, without personal data", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const id = await startRecording(sql, ORDER);
  ok(id);
  await using recorder = createRecorder({ sql, redactor, log: silent, everyMs: 20 });
  const isFull = async () => (await listWanted(sql))[0]?.stored.getTraceability === 3;
  await offerUntil((one) => recorder.offer(one), [seen(1)], "it is full", isFull);

  const stored = await sql`select exchange::text as text from lotline.recorded_exchanges`;
  strictEqual(stored.length, 3);
  for (const { text } of stored) doesNotMatch(text, /Anna/);
  const { exchanges } = await collectRecording(sql, id) ?? {};
  deepStrictEqual(exchanges?.[0], {
    operation: "getTraceability",
    exchange: {
      request: {
        method: "GET",
        path: "/api/traceability/1?by=name-1",
        headers: { accept: "a", authorization: "Bearer name-1" },
      },
      response: {
        status: 200,
        headers: { "content-type": "application/json" },
        body: '{"by":"name-1"}',
        etag: true,
      },
    },
  });
  deepStrictEqual([...await sql`select from lotline.recorded_exchanges`], []);
  strictEqual(await collectRecording(sql, id), undefined);
});

Deno.test("two gateways together keep no more of an operation than was ordered", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const id = await startRecording(sql, { ...ORDER, perOperation: 5 });
  ok(id);
  await using one = createRecorder({ sql, redactor, log: silent, everyMs: 1 });
  await using two = createRecorder({ sql, redactor, log: silent, everyMs: 1 });
  const burst = Array.from({ length: 20 }, (_, number) => seen(number));
  await offerUntil(
    (exchange) => [one, two].forEach((recorder) => recorder.offer(exchange)),
    [...burst, seen(1, "getHealth")],
    "both operations are full",
    async () => {
      const [{ stored = {} } = {}] = await listWanted(sql);
      return Math.min(stored.getTraceability ?? 0, stored.getHealth ?? 0) >= 5;
    },
  );
  const counts = (await collectRecording(sql, id))?.exchanges.map(({ operation }) => operation);
  deepStrictEqual(counts?.filter((operation) => operation === "getHealth").length, 5);
  deepStrictEqual(counts?.length, 10);
});

Deno.test("nothing is kept of the other side, after the end, or without a recording", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const over = await startRecording(sql, ORDER);
  ok(over);
  await sql`update lotline.recordings set started_at = now() - interval '2 min',
    until = now() - interval '1 min'`;
  const other = await startRecording(sql, { ...ORDER, side: "service" });
  ok(other);
  {
    await using recorder = createRecorder({ sql, redactor, log: silent, everyMs: 5 });
    const fromService: Offered = { ...seen(1), upstream: "service" };
    await offerUntil(
      (one) => recorder.offer(one),
      [seen(2), fromService],
      "the other recording is full",
      async () => (await listWanted(sql))[0]?.stored.getTraceability === 3,
    );
  }
  strictEqual((await collectRecording(sql, over))?.exchanges.length, 0);
  const paths = JSON.stringify(await collectRecording(sql, other));
  doesNotMatch(paths, /traceability\/2/);
});

Deno.test("what was offered last is stored when the gateway ends", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const id = await startRecording(sql, { ...ORDER, perOperation: 1_000 });
  ok(id);
  {
    await using recorder = createRecorder({ sql, redactor, log: silent, everyMs: 200 });
    const isOn = async () => (await listWanted(sql))[0]?.stored.getHealth !== undefined;
    const health = seen(0, "getHealth");
    await offerUntil((one) => recorder.offer(one), [health], "it records", isOn);
    for (let number = 0; number < 7; number++) recorder.offer(seen(number));
  }
  const traces = (await collectRecording(sql, id))?.exchanges
    .filter(({ operation }) => operation === "getTraceability");
  strictEqual(traces?.length, 7);
});

Deno.test("a recorder without its database takes nothing, says so once, and is back by itself", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`alter table lotline.recordings rename to elsewhere`;
  const lines: string[] = [];
  const log = (_level: string, message: string) => void lines.push(message);
  await using recorder = createRecorder({ sql, redactor, log, everyMs: 5 });
  await eventually("it has noticed", () => Promise.resolve(lines.length > 0));
  recorder.offer(seen(1));
  await delay(50);
  deepStrictEqual(lines, ["recorder_failed"]);
  await sql`alter table lotline.elsewhere rename to recordings`;
  const id = await startRecording(sql, ORDER);
  ok(id);
  await offerUntil(
    (one) => recorder.offer(one),
    [seen(3)],
    "it stores again",
    async () => (await listWanted(sql))[0]?.stored.getTraceability === 3,
  );
  deepStrictEqual(lines, ["recorder_failed", "recorder_recovered"]);
});

Deno.test("at most four recordings are on at once", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const starts = [];
  for (let number = 0; number < 5; number++) starts.push(await startRecording(sql, ORDER));
  deepStrictEqual(starts.map((id) => id !== undefined), [true, true, true, true, false]);
  await sql`update lotline.recordings set started_at = started_at - interval '30 minutes',
    until = now() - interval '1 minute' where id = ${starts[2] ?? ""}`;
  const next = [await startRecording(sql, ORDER), await startRecording(sql, ORDER)];
  deepStrictEqual(next.map((id) => id !== undefined), [true, false], "one is over");
});

const stored = (offered: Offered): SeenExchange => ({
  operation: offered.operation,
  side: offered.upstream,
  at: offered.at,
  exchange: recordedExchange(offered, redactor),
});

Deno.test("each recording has its own side's exchanges, and several may want the same", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const ids: string[] = [];
  for (const upstream of ["legacy", "service", "service"] as const) {
    ids.push(await startRecording(sql, { ...ORDER, side: upstream }) ?? "");
  }
  await insertExchanges(sql, [stored(seen(1)), stored({ ...seen(2), upstream: "service" })]);
  const paths: (string | undefined)[] = [];
  for (const id of ids) {
    const collected = JSON.stringify(await collectRecording(sql, id));
    paths.push(collected.match(/traceability\/\d/g)?.join());
  }
  deepStrictEqual(paths, ["traceability/1", "traceability/2", "traceability/2"]);
});

Deno.test("a gateway that counted at the same moment as another loses its exchange, not its peace", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const id = await startRecording(sql, ORDER) ?? "";
  await using other = await openTransaction(
    sql,
    `insert into lotline.recorded_exchanges values ('${id}', 'getTraceability', 1, now(), '{}')`,
  );
  const inserting = insertExchanges(sql, [stored(seen(1))]);
  await eventually("it waits for the other", async () => {
    const waiting = await sql`select from pg_locks where not granted`;
    return waiting.length > 0;
  });
  await other.commit();
  await inserting;
  strictEqual((await collectRecording(sql, id))?.exchanges.length, 1);
});

const { request, response } = seen(1);
const gzip: HeaderLines = [["Content-Encoding", "gzip"]];
const UNRECORDABLE: [what: string, exchange: Pick<Offered, "request" | "response">][] = [
  ["a long request", {
    request: { ...request, body: new Uint8Array(MAX_BODY_CHARACTERS + 1) },
    response,
  }],
  ["a long response", {
    request,
    response: { ...response, body: new Uint8Array(MAX_BODY_CHARACTERS + 1) },
  }],
  ["a long page", { request, response: { ...response, body: bytes("<p>".repeat(2_000)) } }],
  ["a request that isn't the gzip it says", {
    request: { ...request, headers: gzip, body: bytes("{}") },
    response,
  }],
  ["a response that isn't the gzip it says", { request, response: { ...response, headers: gzip } }],
  ["a long response in few bytes", {
    request,
    response: {
      ...response,
      headers: gzip,
      body: new Uint8Array(gzipSync(JSON.stringify("x".repeat(MAX_BODY_CHARACTERS)))),
    },
  }],
  ["bytes that are no text", { request: { ...request, body: new Uint8Array([0xff]) }, response }],
  ["a NUL", { request, response: { ...response, body: bytes("a\0b") } }],
  ["a conditional request", {
    request: { ...request, headers: [["If-None-Match", 'W/"1"']] },
    response,
  }],
];

for (const [what, exchange] of UNRECORDABLE) {
  Deno.test(`${what} is not recorded`, () => {
    strictEqual(isRecordable(request, response), true);
    strictEqual(isRecordable(exchange.request, exchange.response), false);
  });
}

Deno.test("a long response is recorded if it is JSON", () => {
  const body = bytes(JSON.stringify(Array.from({ length: 3_000 }, (_, number) => number)));
  strictEqual(isRecordable(request, { ...response, body }), true);
});

Deno.test("a compressed exchange is recorded as text", () => {
  const text = '{"lot_code":"L-1"}';
  const body = new Uint8Array(gzipSync(text));
  const packed = {
    operation: "createLot" as const,
    request: { ...request, method: "POST", headers: gzip, body },
    response: { ...response, headers: [...response.headers, ...gzip], body },
  };
  strictEqual(isRecordable(packed.request, packed.response), true);
  const real = createRedactor("a secret of at least thirty-two characters");
  const recorded = recordedExchange(packed, real);
  deepStrictEqual([recorded.request.body, recorded.response.body], [text, text]);
  deepStrictEqual(recorded.request.headers, {});
});

Deno.test("a header that came in several lines is recorded as one", () => {
  const twice = { ...response, headers: [["Vary", "Origin"], ["vary", "Accept"]] as const };
  const { headers } = recordedExchange({ ...seen(1), response: twice }, redactor).response;
  deepStrictEqual(headers, { vary: "Origin, Accept" });
});
