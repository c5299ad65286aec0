import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { delay } from "../../timing.ts";
import type { Mode } from "../exchange/route.ts";
import { kill } from "../routes/routes_table.ts";
import { startApi } from "../../testing/api.ts";
import { type Cutover, startCutover } from "../testing/cutover.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually, withDeadline } from "../../testing/eventually.ts";
import { GATEWAY_ADMIN_TOKEN } from "../testing/gateway.ts";
import { startLegacyProcess } from "../testing/legacy_process.ts";
import { leave, served } from "../testing/leaving_client.ts";
import { LEAVINGS, mayBeLost, type Sent, WAYS_TO_SEND } from "../testing/leaving_writes.ts";
import { openTransaction } from "../../testing/open_transaction.ts";

const WRITES = 40;

/**
 * The `number`th write of a case: a lot, or a decision, which no constraint keeps from being stored
 * twice.
 */
function writeOf(label: string, number: number): [path: string, body: string] {
  const name = `${label} ${number}`;
  return number % 2 === 0
    ? ["/api/lots", JSON.stringify({ lot_code: name, weight_kg: "1.5" })]
    : ["/api/qc-decisions", JSON.stringify({ decision: "HOLD", notes: name })];
}

/** How many rows there are of each case, and how many of them are duplicates. */
async function rowsOf(sql: Sql): Promise<Record<string, string>> {
  const rows = await sql<{ label: string; rows: number; twice: number }[]>`
    select regexp_replace(name, ' [0-9]+$', '') as label, count(*)::int as rows,
      (count(*) - count(distinct name))::int as twice
    from (
      select lot_code as name from lots where lot_code like '%, %'
      union all select notes from qc_decisions where notes like '%, %'
    ) as stored group by label`;
  return Object.fromEntries(
    rows.map(({ label, rows, twice }) => [label, `${rows}, ${twice} twice`]),
  );
}

const ALL_ONCE = `${WRITES}, 0 twice`;

/**
 * Sends the writes of every case and leaves; returns the cases with the number of rows to expect.
 * The cases run one after the other: together they would exceed the limit of requests in flight.
 */
async function leaveAll(
  sql: Sql,
  port: number,
  target: string,
  ways: Readonly<Record<string, (path: string, body: string) => Sent>>,
): Promise<Record<string, string>> {
  const expected: Record<string, string> = {};
  for (const [way, sent] of Object.entries(ways)) {
    for (const [how, leaving] of Object.entries(LEAVINGS)) {
      if (mayBeLost(way, leaving)) continue;
      const label = `${target}, ${way}, ${how}`;
      expected[label] = ALL_ONCE;
      const received = await Promise.all(
        Array.from(
          { length: WRITES },
          (_, number) => leave(port, { ...sent(...writeOf(label, number)), ...leaving }),
        ),
      );
      await eventually("they are stored", async () => {
        const [stored] = await sql<{ rows: number }[]>`
          select (select count(*) from lots where lot_code like ${`${label} %`})::int +
            (select count(*) from qc_decisions where notes like ${`${label} %`})::int as rows`;
        return (stored?.rows ?? 0) >= WRITES;
      }).catch(() => {}); // The caller reports missing rows.
      if (leaving.leaving !== "half-closes") continue;
      const answered = received.filter((text) => text.includes("HTTP/1.1 201 "));
      if (!IS_SERVER_OF_DENO.has(target)) strictEqual(answered.length, WRITES, label);
    }
  }
  return expected;
}

/** It ends the other direction too when a client ends its own, and sends nothing more. */
const IS_SERVER_OF_DENO = new Set(["Lotline"]);

async function allStored(sql: Sql, expected: Record<string, string>): Promise<void> {
  const isThere = async () =>
    Object.keys(await rowsOf(sql)).length === Object.keys(expected).length &&
    Object.values(await rowsOf(sql)).every((rows) => rows === ALL_ONCE);
  // The comparison reports missing rows, not the wait.
  await eventually("all are stored", isThere, { seconds: 30 }).catch(() => {});
  deepStrictEqual(await rowsOf(sql), expected);
}

const portOf = (url: string) => Number(new URL(url).port);

function gatewayOf({ gateways: [gateway] }: Cutover) {
  if (gateway === undefined) throw new Error("there is no gateway");
  return gateway;
}

const MODES: readonly Mode[] = [
  { name: "legacy" },
  { name: "shadow" },
  { name: "canary", percent: 50 },
  { name: "service" },
];

Deno.test("a write that was received completely is executed once, in every mode, however its client leaves", async () => {
  await using cutover = await startCutover();
  const { sql } = cutover.database;
  const gateway = gatewayOf(cutover);
  const port = portOf(gateway.url);
  let expected: Record<string, string> = {};
  for (const mode of MODES) {
    await cutover.set(mode);
    expected = { ...expected, ...await leaveAll(sql, port, mode.name, WAYS_TO_SEND) };
    await allStored(sql, expected);
  }
  await kill(sql, { who: "test", why: "an alarm" });
  await eventually("it is killed", async () => (await gateway.modes()).createLot === "legacy");
  expected = { ...expected, ...await leaveAll(sql, port, "killed", WAYS_TO_SEND) };
  await allStored(sql, expected);

  const [silences] = await sql<{ count: number }[]>`
    select coalesce(sum(silences), 0)::int as count from lotline.route_answers
    where side = 'legacy'`;
  deepStrictEqual(
    silences,
    { count: 0 },
    "no client that left counts as a failure of the old server",
  );
  const different = await sql`select 1 from lotline.route_outcomes where outcome = 'different'`;
  deepStrictEqual([...different], []);
  const metrics = await textOf(`${gateway.adminUrl}/metrics`);
  const left =
    /^lotline_gateway_clients_left_total\{operation="createLot",outcome="(carried_out|half_closed)"\} \d+$/gm;
  strictEqual(metrics.match(left)?.length, 2, metrics);
  ok(gateway.log.lines.some((line) => line.includes('"event":"client_left"')));
});

Deno.test("a login that was received completely is executed once even if its client has left", async () => {
  await using cutover = await startCutover();
  const gateway = gatewayOf(cutover);
  for (const mode of [{ name: "legacy" }, { name: "service" }] as const) {
    await cutover.set(mode);
    const before = gateway.log.lines.length;
    const body = JSON.stringify({ email: "nobody@example.invalid" });
    for (const leaving of Object.values(LEAVINGS)) {
      await Promise.all(Array.from({ length: WRITES }, () => {
        const sent = WAYS_TO_SEND["in one piece"];
        if (sent === undefined) throw new Error("there is no such case");
        return leave(portOf(gateway.url), { ...sent("/api/login", body), ...leaving });
      }));
    }
    const answered = () =>
      gateway.log.lines.slice(before).filter((line) =>
        line.includes('"operation":"login"') && line.includes('"status":401')
      ).length;
    const all = WRITES * Object.keys(LEAVINGS).length;
    await eventually("all are carried out", () => answered() >= all, { seconds: 60 });
    strictEqual(answered(), all);
  }
});

for (const name of ["legacy", "shadow", "service"] as const) {
  Deno.test(`at SIGTERM the gateway executes the writes of clients that have left, in ${name}`, async () => {
    await using cutover = await startCutover();
    const { sql } = cutover.database;
    const gateway = gatewayOf(cutover);
    await cutover.set({ name });
    const blocker = await openTransaction(sql, "lock table lots, qc_decisions in share mode");
    const label = `${name}, in one piece, resets at once`;
    await Promise.all(Array.from({ length: WRITES }, (_, number) => {
      const [path, body] = writeOf(label, number);
      const sent = WAYS_TO_SEND[number % 4 < 2 ? "in one piece" : "on a connection in use"];
      if (sent === undefined) throw new Error("there is no such case");
      return leave(portOf(gateway.url), { ...sent(path, body), leaving: "resets" });
    }));
    await served(gateway.url);
    gateway.process.kill("SIGTERM");
    await gateway.log.find((line) => line.includes('"event":"stopping"'));
    await delay(500);
    deepStrictEqual(await rowsOf(sql), {});
    await blocker.commit();
    strictEqual((await withDeadline("it ends", gateway.process.status, { seconds: 60 })).code, 0);
    deepStrictEqual(await rowsOf(sql), { [label]: ALL_ONCE });
  });
}

// Deno's server drops the unread part of a body when its connection ends, and the requests queued
// after a response: see docs/decisions/0020.
const WHOLE_AT_ONCE = Object.fromEntries(
  Object.entries(WAYS_TO_SEND).filter(([way]) => way === "in one piece"),
);

Deno.test("without a gateway, the stand-in executes a write whose client half-closes", async () => {
  await using database = await freshDatabase();
  await using legacy = await startLegacyProcess({ databaseUrl: database.url });
  const sent = WAYS_TO_SEND["in one piece"]?.("/api/lots", JSON.stringify({ lot_code: "HALF" }));
  const pieces = sent?.pieces ?? [];
  const received = await leave(portOf(legacy.url), { pieces, leaving: "half-closes" });
  ok(received.startsWith("HTTP/1.1 201 "), received);
});

Deno.test("without a gateway, Lotline executes a request that came in one piece", async () => {
  await using database = await freshDatabase();
  await using api = await startApi({ databaseUrl: database.url });
  const { sql } = database;
  await allStored(sql, await leaveAll(sql, portOf(api.url), "Lotline", WHOLE_AT_ONCE));
});

async function textOf(url: string): Promise<string> {
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${GATEWAY_ADMIN_TOKEN}` },
  });
  return await response.text();
}
