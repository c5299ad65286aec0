import { deepStrictEqual, ok } from "node:assert/strict";
import { createLagMeter, type Lag } from "./replica_state.ts";

type Look = readonly [primary: number, replica: number, lag: Lag];

const NONE: Lag = { bytes: 0, ms: 0 };

/** Looks a second apart, in which the primary and the replica have these positions. */
const CASES: { what: string; looks: readonly Look[] }[] = [
  {
    what: "a replica that has everything isn't behind",
    looks: [[100, 100, NONE], [200, 200, NONE]],
  },
  {
    what: "an idle primary makes no lag, however long",
    looks: [[100, 100, NONE], [100, 100, NONE], [100, 100, NONE]],
  },
  { what: "a replica may have got more since the look at the primary", looks: [[100, 130, NONE]] },
  {
    what: "a replica that stands still is behind since it was last even",
    looks: [
      [100, 100, NONE],
      [200, 100, { bytes: 100, ms: 1_000 }],
      [300, 100, { bytes: 200, ms: 2_000 }],
      [300, 100, { bytes: 200, ms: 3_000 }],
      [300, 300, NONE],
    ],
  },
  {
    what: "between two looks the position grows evenly",
    looks: [[100, 100, NONE], [200, 150, { bytes: 50, ms: 500 }], [300, 290, {
      bytes: 10,
      ms: 100,
    }]],
  },
  {
    what: "one that was behind at the first look is behind since then at least",
    looks: [[500, 100, { bytes: 400, ms: 0 }], [600, 100, { bytes: 500, ms: 1_000 }]],
  },
];

for (const { what, looks } of CASES) {
  Deno.test(`lag: ${what}`, () => {
    const measure = createLagMeter();
    const lags = looks.map(([primary, replica], second) =>
      measure(
        { position: BigInt(primary), at: 1_000 * second },
        { position: BigInt(replica), at: 1_000 * second },
      )
    );
    deepStrictEqual(lags, looks.map(([, , lag]) => lag));
  });
}

Deno.test("lag: hours of a replica that stands still are counted from their beginning", () => {
  const measure = createLagMeter();
  const lags = Array.from({ length: 10_000 }, (_, second) =>
    measure(
      { position: BigInt(100 + second), at: 1_000 * second },
      { position: 100n, at: 1_000 * second },
    ));
  ok(lags.every(({ ms }, second) => ms === 1_000 * second));
});
