import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../../testing/database.ts";
import { differenceAt } from "../testing/findings.ts";
import { givenOutcomes, givenResponses } from "../testing/route_history.ts";
import { startCollector } from "./collector.ts";
import { listDifferenceKinds } from "./mismatch_table.ts";
import { listTotals } from "./evidence_totals.ts";

const HOUR_MS = 3_600_000;
const hoursAgo = (hours: number) => new Date(Date.now() - hours * HOUR_MS).toISOString();

Deno.test("totals cover a period, by operation and epoch", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  deepStrictEqual(await listTotals(sql, { from: hoursAgo(9), until: hoursAgo(-1) }), []);
  const login = { operation: "login", epoch: 1 } as const;
  for (const [minutesAgo, requests] of [[1, 3], [60, 4], [601, 1_000]] as const) {
    await givenResponses(sql, { ...login, side: "legacy", requests, errors: 1, minutesAgo });
    await givenOutcomes(sql, { ...login, outcome: "same", count: requests, minutesAgo });
  }
  await givenResponses(sql, { ...login, side: "service", requests: 7 });
  await givenOutcomes(sql, { ...login, outcome: "approved", count: 2 });
  await givenOutcomes(sql, { ...login, outcome: "approved", count: 2, approval: "a-1" });
  await givenOutcomes(sql, { operation: "createLot", epoch: 5, outcome: "lost", count: 9 });
  await givenResponses(sql, { operation: "createAudit", epoch: 5, side: "service", requests: 9 });
  const totals = await listTotals(sql, { from: hoursAgo(9), until: hoursAgo(-1) });
  deepStrictEqual(totals.map(({ first: _first, last: _last, ...rest }) => rest), [
    { operation: "createLot", epoch: 5, sides: {}, outcomes: { lost: 9 }, approvals: {} },
    {
      operation: "login",
      epoch: 1,
      sides: {
        legacy: { requests: 7, serverErrors: 2, silences: 0, latencies: { "47": 7 } },
        service: { requests: 7, serverErrors: 0, silences: 0, latencies: { "47": 7 } },
      },
      outcomes: { same: 7, approved: 2 },
      approvals: { "a-1": 2 },
    },
  ]);
  const { first = "", last = "" } = totals[1] ?? {};
  strictEqual(Date.parse(last) - Date.parse(first), HOUR_MS);
});

Deno.test("kinds of differences come with the number stored and the last of them", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using collector = startCollector({
    databaseUrl: database.url,
    redact: (finding) => finding,
    log: () => {},
  });
  collector.found(differenceAt("body.a", { epoch: 1 }));
  collector.found(differenceAt("status", { epoch: 2, status: 404 }));
  collector.found(differenceAt("body.a", { epoch: 3 }));
  await collector.flush();
  const range = { from: hoursAgo(1), until: hoursAgo(-1) };
  const kinds = await listDifferenceKinds(sql, { ...range, limit: 10 });
  deepStrictEqual(
    kinds.map(({ kept, example }) => [kept, example.epoch, example.differences[0]?.place]),
    [[2, 3, "body.a"], [1, 2, "status"]],
  );
  strictEqual((await listDifferenceKinds(sql, { ...range, limit: 1 })).length, 1);
  deepStrictEqual(await listDifferenceKinds(sql, { ...range, until: hoursAgo(1), limit: 9 }), []);
});
