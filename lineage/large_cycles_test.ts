import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { tangle } from "../testing/tangle.ts";
import { findCycles } from "./cycles.ts";

// Not measured: its millions of steps would take ten times as long.

Deno.test("cycles: a ring of a million lots, and a chain as long, are walked without recursion", () => {
  const lots = 1_000_000;
  const parents = Int32Array.from({ length: lots }, (_, lot) => lot);
  const children = parents.map((lot) => (lot + 1) % lots);
  const { cycles, truncated } = findCycles({ parents, children, lots, maxCycles: 10 });
  deepStrictEqual([cycles.map(({ length }) => length), truncated], [[lots], false]);
  const chain = {
    parents: parents.subarray(1),
    children: children.subarray(1),
    lots,
    maxCycles: 10,
  };
  deepStrictEqual(findCycles(chain), { cycles: [], truncated: false });
});

Deno.test("cycles: a larger tangle is stopped after the same number of steps, and the result says so", () => {
  const given = [50_000, 100_000].map((lots) => {
    let steps = 0;
    const onSteps = (so_far: number) => steps = so_far;
    const { cycles, truncated } = findCycles({ ...tangle(lots), maxCycles: 1_000_000, onSteps });
    strictEqual(truncated, true);
    ok(cycles.length > 50, `${cycles.length}`);
    return steps - 3 * lots;
  });
  // Without the limit it is the square of the lots.
  deepStrictEqual(given, [50_000_000, 50_000_000]);
});
