import { Random } from "../dev/random.ts";

/** A ring, so that all lots are one component, and paths across it: a search visits most lots. */
export function tangle(lots: number) {
  const random = new Random(11);
  const parents = Int32Array.from({ length: 3 * lots }, (_, link) => link % lots);
  const children = parents.map((lot, link) =>
    link < lots ? (lot + 1) % lots : Math.floor(random.between(0, lots))
  );
  return { parents, children, lots };
}
