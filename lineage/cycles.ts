/** Links between lots 0 to `lots` − 1: link i leads from `parents[i]` to `children[i]`. */
export interface Links {
  readonly parents: Int32Array;
  readonly children: Int32Array;
  readonly lots: number;
}

interface Cycles {
  /** Each in the direction of its links, beginning with its smallest lot. */
  readonly cycles: number[][];
  /** Whether lots on other cycles exist that are on none of these. */
  readonly truncated: boolean;
}

/**
 * Called regularly with the steps of the search so far: one for each link, then one for each link that
 * is followed. It may throw to end the search.
 */
export type OnSteps = (steps: number) => void;

// Some tenths of a second. Graphs with up to 7,000 links on cycles never reach it.
const MAX_STEPS = 50_000_000;
/** The steps between two calls of {@link OnSteps}: some hundred microseconds. */
const STEPS_BETWEEN = 10_000;

/**
 * Finds short cycles. A lot that is linked to itself is a cycle; every other lot that is its own
 * ancestor is on at least one of the other cycles: for each lot that is on none yet, a shortest one
 * through it. The order of the links and duplicates change nothing.
 *
 * Takes memory for a few numbers a lot and link, at any depth, and time in proportion to them and to
 * the cycles, up to {@link MAX_STEPS}.
 */
export function findCycles(
  { maxCycles: max, onSteps = () => {}, ...links }: Links & {
    readonly maxCycles: number;
    readonly onSteps?: OnSteps | undefined;
  },
): Cycles {
  const graph = graphOf(links);
  onSteps(links.parents.length);
  const component = componentsOf(graph);
  const inner = linksWithin(component, links);
  onSteps(inner.parents.length);
  const shortestThrough = cycleSearch(
    graphOf(inner),
    (steps) => onSteps(inner.parents.length + steps),
  );
  const selfLinked = selfLinkedLots(links);
  const isCovered = new Uint8Array(links.lots);
  const cycles: number[][] = [];
  for (let lot = 0; lot < links.lots; lot++) {
    if (selfLinked[lot]) {
      if (cycles.length === max) return { cycles, truncated: true };
      cycles.push([lot]);
    }
    if (isCovered[lot] || component[lot] === NONE) continue;
    const cycle = cycles.length === max ? undefined : shortestThrough(lot);
    if (cycle === undefined) return { cycles, truncated: true };
    for (const member of cycle) isCovered[member] = 1;
    cycles.push(fromSmallest(cycle));
  }
  return { cycles, truncated: false };
}

const NONE = -1;

function fromSmallest(cycle: readonly number[]): number[] {
  let start = 0;
  for (const [place, lot] of cycle.entries()) if (lot < (cycle[start] ?? lot)) start = place;
  return [...cycle.slice(start), ...cycle.slice(0, start)];
}

function selfLinkedLots({ parents, children, lots }: Links): Uint8Array {
  const selfLinked = new Uint8Array(lots);
  for (const [link, lot] of parents.entries()) if (children[link] === lot) selfLinked[lot] = 1;
  return selfLinked;
}

/** The links on cycles of several lots: none in a correct genealogy. */
function linksWithin(component: Int32Array, { lots, ...links }: Links): Links {
  const parents = new Int32Array(links.parents.length);
  const children = new Int32Array(links.parents.length);
  let found = 0;
  for (const [link, parent] of links.parents.entries()) {
    const child = at(links.children, link);
    if (parent === child || component[parent] === NONE || component[parent] !== component[child]) {
      continue;
    }
    parents[found] = parent;
    children[found++] = child;
  }
  return { parents: parents.subarray(0, found), children: children.subarray(0, found), lots };
}

/** Each lot's children in ascending order: `targets` from `offsets[lot]` to before `offsets[lot + 1]`. */
interface Graph {
  readonly offsets: Int32Array;
  readonly targets: Int32Array;
}

function graphOf({ parents, children, lots }: Links): Graph {
  // Sorted by child, then by parent, which is stable.
  const byChild = sortedBy(children, lots).order;
  const { order, offsets } = sortedBy(parents, lots, byChild);
  return { offsets, targets: order.map((link) => at(children, link)) };
}

/** The indexes of `keys` in the order of the keys; those of one key in the order of `before`. */
function sortedBy(keys: Int32Array, max: number, before?: Int32Array) {
  const offsets = new Int32Array(max + 1);
  for (const key of keys) offsets[key + 1] = at(offsets, key + 1) + 1;
  for (let key = 0; key < max; key++) offsets[key + 1] = at(offsets, key + 1) + at(offsets, key);
  const free = offsets.slice();
  const order = new Int32Array(keys.length);
  for (let i = 0; i < keys.length; i++) {
    const place = before === undefined ? i : at(before, i);
    const key = at(keys, place);
    const target = at(free, key);
    free[key] = target + 1;
    order[target] = place;
  }
  return { order, offsets };
}

/**
 * The strongly connected component of each lot; {@link NONE} for a component of one lot. Tarjan's
 * algorithm (https://doi.org/10.1137/0201010) without recursion.
 */
function componentsOf({ offsets, targets }: Graph): Int32Array {
  const lots = offsets.length - 1;
  const component = new Int32Array(lots).fill(NONE);
  const visit = new Int32Array(lots).fill(NONE);
  const low = new Int32Array(lots);
  const isOpen = new Uint8Array(lots);
  const open = new Int32Array(lots);
  const path = new Int32Array(lots);
  const nextEdge = offsets.slice();
  let opened = 0, visits = 0, depth = 0;
  const visitNode = (lot: number) => {
    visit[lot] = low[lot] = visits++;
    open[opened++] = lot;
    isOpen[lot] = 1;
    path[depth++] = lot;
  };
  for (let root = 0; root < lots; root++) {
    if (visit[root] !== NONE) continue;
    visitNode(root);
    while (depth > 0) {
      const lot = at(path, depth - 1);
      const edge = at(nextEdge, lot);
      if (edge < at(offsets, lot + 1)) {
        nextEdge[lot] = edge + 1;
        const child = at(targets, edge);
        if (visit[child] === NONE) visitNode(child);
        else if (isOpen[child]) low[lot] = Math.min(at(low, lot), at(visit, child));
        continue;
      }
      depth--;
      if (depth > 0) {
        const parent = at(path, depth - 1);
        low[parent] = Math.min(at(low, parent), at(low, lot));
      }
      if (low[lot] !== visit[lot]) continue;
      const isAlone = open[opened - 1] === lot;
      for (let member = NONE; member !== lot;) {
        member = at(open, --opened);
        isOpen[member] = 0;
        component[member] = isAlone ? NONE : lot;
      }
    }
  }
  return component;
}

/**
 * Returns a function that finds, breadth first, a shortest cycle through a lot that is on one; nothing
 * after {@link MAX_STEPS} together.
 */
function cycleSearch({ offsets, targets }: Graph, onSteps: OnSteps) {
  const lots = offsets.length - 1;
  const seenFor = new Int32Array(lots).fill(NONE);
  const reachedFrom = new Int32Array(lots);
  const reached = new Int32Array(lots);
  let steps = 0;
  return (start: number): number[] | undefined => {
    let found = 0;
    reached[found++] = start;
    for (let next = 0; next < found; next++) {
      const lot = at(reached, next);
      for (let edge = at(offsets, lot); edge < at(offsets, lot + 1); edge++) {
        if (++steps > MAX_STEPS) return undefined;
        if (steps % STEPS_BETWEEN === 0) onSteps(steps);
        const child = at(targets, edge);
        if (child === start) return pathOf(start, lot);
        if (seenFor[child] === start) continue;
        seenFor[child] = start;
        reachedFrom[child] = lot;
        reached[found++] = child;
      }
    }
    throw new Error("a lot of a strongly connected component is on no cycle");
  };

  function pathOf(start: number, end: number): number[] {
    const path = [];
    for (let lot = end; lot !== start; lot = at(reachedFrom, lot)) path.push(lot);
    return [start, ...path.reverse()];
  }
}

/** The number at an index that is in range, which the compiler can't see. */
function at(numbers: Int32Array, place: number): number {
  return numbers[place] as number;
}
