import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
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

Deno.test("each measurement besides the comparison has a unique name", () => {
  const names = STUDIES.map(({ name }) => name);
  strictEqual(new Set(names).size, names.length);
});

Deno.test("growth of memory is reported for 100,000 requests, from the second half alone", () => {
  const samples = [[0, 100], [50, 180], [100, 200], [150, 203], [200, 206]]
    .map(([thousands = 0, residentMb = 0]) => ({ requests: thousands * 1_000, residentMb }));
  deepStrictEqual(secondHalf(samples), samples.slice(2));
  ok(Math.abs(slopeOf(secondHalf(samples)) - 6) < 1e-9);
});
