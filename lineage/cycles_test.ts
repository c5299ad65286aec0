import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Random } from "../dev/random.ts";
import { tangle } from "../testing/tangle.ts";
import { findCycles } from "./cycles.ts";

type Link = readonly [parent: number, child: number];

function cyclesOf(lots: number, links: readonly Link[], max = 1_000_000) {
  const parents = Int32Array.from(links, ([parent]) => parent);
  const children = Int32Array.from(links, ([, child]) => child);
  return findCycles({ parents, children, lots, maxCycles: max });
}

/** Links from each number to the next and from the last to the first. */
const ring = (...lots: number[]): Link[] =>
  lots.map((lot, i) => [lot, lots[(i + 1) % lots.length] ?? lot]);

const CASES: { what: string; lots: number; links: Link[]; cycles: number[][] }[] = [
  { what: "no links have none", lots: 3, links: [], cycles: [] },
  { what: "no lots have none", lots: 0, links: [], cycles: [] },
  { what: "a diamond has none", lots: 4, links: [[0, 1], [0, 2], [1, 3], [2, 3]], cycles: [] },
  { what: "a link to itself is one", lots: 2, links: [[1, 1], [1, 1]], cycles: [[1]] },
  { what: "two lots that go into each other", lots: 2, links: ring(1, 0), cycles: [[0, 1]] },
  { what: "a ring, from its smallest lot", lots: 4, links: ring(3, 1, 2), cycles: [[1, 2, 3]] },
  {
    what: "rings with a path between them stay two, and the lots before and after are on none",
    lots: 8,
    links: [[6, 0], ...ring(0, 1), [1, 2], [2, 3], ...ring(3, 4, 5), [5, 7]],
    cycles: [[0, 1], [3, 4, 5]],
  },
  {
    what: "a lot of a ring that is linked to itself counts twice",
    lots: 3,
    links: [...ring(0, 1, 2), [1, 1]],
    cycles: [[0, 1, 2], [1]],
  },
  {
    what: "the short path round is reported, and the long one where it alone has a lot",
    lots: 4,
    links: [...ring(0, 1, 2, 3), [1, 0]],
    cycles: [[0, 1], [0, 1, 2, 3]],
  },
];

for (const { what, lots, links, cycles } of CASES) {
  Deno.test(`cycles: ${what}`, () => {
    deepStrictEqual(cyclesOf(lots, links), { cycles, truncated: false });
  });
}

/** How many links the shortest path from one lot to another has, by walking in all directions. */
function distances(lots: number, links: readonly Link[]): number[][] {
  const far = Array.from({ length: lots }, () => Array<number>(lots).fill(Infinity));
  const get = (a: number, b: number) => far[a]?.[b] ?? Infinity;
  for (const [parent, child] of links) if (parent !== child) (far[parent] ?? [])[child] = 1;
  for (let via = 0; via < lots; via++) {
    for (let a = 0; a < lots; a++) {
      for (let b = 0; b < lots; b++) {
        (far[a] ?? [])[b] = Math.min(get(a, b), get(a, via) + get(via, b));
      }
    }
  }
  return far;
}

Deno.test("cycles of 2,000 random genealogies are cycles, short, and include every lot that is on one", () => {
  const generator = new Random(7);
  const random = (below: number) => Math.floor(generator.between(0, below));
  for (let round = 0; round < 2_000; round++) {
    const lots = 1 + random(12);
    const links = Array.from({ length: random(22) }, (): Link => [random(lots), random(lots)]);
    const { cycles, truncated } = cyclesOf(lots, links);
    strictEqual(truncated, false);
    const isLinked = new Set(links.map(String));
    const far = distances(lots, links);
    for (const cycle of cycles) {
      for (const link of ring(...cycle)) ok(isLinked.has(String(link)), `${link}`);
      strictEqual(new Set(cycle).size, cycle.length);
      strictEqual(Math.min(...cycle), cycle[0]);
      // A shortest one through at least one of its lots.
      if (cycle.length > 1) ok(cycle.some((lot) => far[lot]?.[lot] === cycle.length));
    }
    strictEqual(new Set(cycles.map(String)).size, cycles.length);
    const long = new Set(cycles.filter(({ length }) => length > 1).flat());
    const own = cycles.filter(({ length }) => length === 1).flat();
    const all = Array.from({ length: lots }, (_, lot) => lot);
    deepStrictEqual(
      all.filter((lot) => long.has(lot)),
      all.filter((lot) => far[lot]?.[lot] !== Infinity),
    );
    deepStrictEqual(own, all.filter((lot) => isLinked.has(`${lot},${lot}`)));

    const shuffled = links.toSorted(() => random(2) - 0.5);
    deepStrictEqual(cyclesOf(lots, [...shuffled, ...shuffled]), { cycles, truncated: false });
    const some = random(cycles.length + 1);
    deepStrictEqual(cyclesOf(lots, links, some), {
      cycles: cycles.slice(0, some),
      truncated: some < cycles.length,
    });
  }
});

Deno.test("cycles: a search ends when its callback for steps throws", () => {
  const reason = new Error("enough");
  const ends = [0, 1_000, 30_000, 100_000].map((limit) => {
    let last = 0;
    const onSteps = (steps: number) => {
      last = steps;
      if (steps > limit) throw reason;
    };
    throws(() => findCycles({ ...tangle(10_000), maxCycles: 1_000_000, onSteps }), reason);
    return last;
  });
  deepStrictEqual(ends, [30_000, 30_000, 40_000, 110_000]);
});
