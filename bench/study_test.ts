import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { floodRatio, floodTable, loginTable } from "./flood_tables.ts";
import type { Stretch } from "./login_flood.ts";
import { timingsOf } from "./login_timing.ts";
import { secondHalf, slopeOf } from "./memory.ts";
import { quantile } from "./quantile.ts";
import { STUDIES } from "./studies.ts";

Deno.test("a quantile is one of the values: the least that so many don't exceed", () => {
  const values = [5, 1, 4, 2, 3];
  deepStrictEqual([0, 0.2, 0.21, 0.5, 0.99, 1].map((share) => quantile(values, share)), [
    1,
    1,
    2,
    3,
    5,
    5,
  ]);
  ok(Number.isNaN(quantile([], 0.5)));
});

Deno.test("a refused login is within 5 % or it isn't, on either side", () => {
  const around = (median: number) => ({ title: String(median), ms: [median - 9, median, 400] });
  const timings = timingsOf([100, 104, 106, 96, 94].map(around));
  deepStrictEqual(timings.map(({ isWithin }) => isWithin), [true, true, false, true, false]);
  deepStrictEqual(timings.map(({ ratio }) => ratio), [1, 1.04, 1.06, 0.96, 0.94]);
});

function stretch(round: number, flood: string | undefined, p99Ms: number): Stretch {
  const counts = { requests: 10, seconds: 1, refused: 0, broken: 0, statuses: {} };
  const load = { ...counts, p50Ms: 1, p99Ms };
  return {
    round,
    flood,
    routes: { health: load, trace: load },
    ...flood && { logins: { ...load, seconds: 2, statuses: { "401": 6, "429": 3 } } },
    costs: { all: 4, idle: 1, server: 2, database: 0.5, own: 0.5, others: 0 },
  };
}

const STRETCHES = [
  stretch(1, undefined, 2),
  stretch(1, "crowd", 3),
  stretch(1, "attack", 8),
  stretch(2, undefined, 4),
  stretch(2, "crowd", 4),
  stretch(2, "attack", 6),
];

Deno.test("a flood is compared with the quiet of its own round", () => {
  deepStrictEqual(floodRatio(STRETCHES, "trace", "crowd"), { median: 1.25, least: 1, most: 1.5 });
  strictEqual(floodRatio(STRETCHES, "trace", "another"), undefined);
});

Deno.test("the tables say what users waited, whether that is within 2×, and what became of logins", () => {
  const rows = floodTable(STRETCHES).split("\n").slice(2);
  strictEqual(rows.length, 4);
  match(rows[1] ?? "", /`trace` .* 3\.5 · \*\*1\.25×\*\* \(1\.00–1\.50\) \| yes \|$/);
  match(rows[3] ?? "", /`trace` .* 7\.0 · \*\*2\.75×\*\* \(1\.50–4\.00\) \| NO \|$/);
  const [quiet, crowd] = loginTable(STRETCHES).split("\n").slice(2);
  match(quiet ?? "", /^\| quiet \| 0\.0 \| 0\.0 \| 0\.0 \| 50 \| 13 \| 13 \| 0 \| 25 \|$/);
  match(crowd ?? "", / \| 0\.0 \| 3\.0 \| 1\.5 \| 50 \|/);
});

Deno.test("each measurement of Lotline alone has a name of its own", () => {
  const names = STUDIES.map(({ name }) => name);
  strictEqual(new Set(names).size, names.length);
});

Deno.test("growth of memory is told for 100,000 requests, of the second half alone", () => {
  const samples = [[0, 100], [50, 180], [100, 200], [150, 203], [200, 206]]
    .map(([thousands = 0, residentMb = 0]) => ({ requests: thousands * 1_000, residentMb }));
  deepStrictEqual(secondHalf(samples), samples.slice(2));
  ok(Math.abs(slopeOf(secondHalf(samples)) - 6) < 1e-9);
});
