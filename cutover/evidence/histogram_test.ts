import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import {
  addHistogram,
  bucketOf,
  countSlower,
  durationOf,
  quantileOf,
  totalOf,
} from "./histogram.ts";

const counted = (durations: readonly number[]) =>
  durations.map((ms) => ({ [bucketOf(ms)]: 1 })).reduce(addHistogram, {});

Deno.test("a bucket represents a duration to 2.5 %, from a tenth of a millisecond to two minutes", () => {
  for (let ms = 0.11; ms < 120_000; ms *= 1.013) {
    const notified = durationOf(bucketOf(ms));
    ok(Math.abs(notified - ms) <= 0.0251 * ms, `${ms} ms is reported as ${notified}`);
  }
});

Deno.test("impossible durations are counted as the shortest or the longest", () => {
  for (const odd of [0, -5, NaN, -Infinity, 1e-9]) strictEqual(bucketOf(odd), -47, String(odd));
  for (const odd of [Infinity, 1e12]) strictEqual(bucketOf(odd), 240, String(odd));
});

Deno.test("a quantile is the duration that so many don't exceed", () => {
  strictEqual(quantileOf({}, 0.99), undefined);
  const hundred = counted(
    Array.from({ length: 100 }, (_, i) => i < 98 ? 10 : i === 98 ? 200 : 900),
  );
  const near = (quantile: number, ms: number) => {
    const notified = quantileOf(hundred, quantile) ?? 0;
    ok(Math.abs(notified - ms) < 0.026 * ms, `${quantile}: ${notified} instead of ${ms}`);
  };
  near(0.5, 10);
  near(0.98, 10);
  near(0.99, 200);
  near(1, 900);
});

Deno.test("buckets are ordered by number, not as text", () => {
  const figures = counted([0.5, 0.9, 9, 90, 900]);
  deepStrictEqual([countSlower(figures, 1), countSlower(figures, 100), totalOf(figures)], [
    3,
    1,
    5,
  ]);
  strictEqual(Math.round(quantileOf(figures, 0.6) ?? 0), 9);
});
