import { type Difference, differenceOf } from "../evidence/evidence.ts";
import {
  fieldOf,
  formatLosslessJson,
  type LosslessJson,
  stringOf,
} from "../exchange/lossless_json.ts";
import type { Generated } from "./generated_fields.ts";

/**
 * The places in which two JSON documents differ, `max` at most. The text of numbers and the order of
 * keys count, since clients can see them; escapes and spaces don't.
 *
 * @param unordered top-level fields whose lists have no order
 */
export function bodyDifferences(
  legacy: LosslessJson,
  service: LosslessJson,
  { generated, unordered }: {
    readonly generated?: Generated | undefined;
    readonly unordered: ReadonlySet<string>;
  },
  max: number,
): Difference[] {
  const found: Difference[] = [];
  const report = (place: string, was?: LosslessJson, is?: LosslessJson, why = "") => {
    if (found.length >= max) return;
    const now = is && formatLosslessJson(is) + (why && ` (${why})`);
    found.push(differenceOf(place, was && formatLosslessJson(was), now));
  };

  const compare = (place: string, was: LosslessJson, is: LosslessJson): void => {
    if (found.length >= max) return;
    const judged = generated?.(place, was, is);
    if (judged === true) return;
    if (judged !== undefined) report(place, was, is, judged.why);
    else if (was.kind === "object" && is.kind === "object") compareObjects(place, was, is);
    else if (was.kind === "list" && is.kind === "list") {
      const sets = place.startsWith("body.") && unordered.has(place.slice("body.".length));
      (sets ? compareSets : compareLists)(place, was.items, is.items);
    } else if (was.kind !== is.kind || formatLosslessJson(was) !== formatLosslessJson(is)) {
      report(place, was, is);
    }
  };

  const compareObjects = (place: string, was: ObjectText, is: ObjectText) => {
    // Of duplicate keys the last one counts, as in `JSON.parse`.
    const [legacyFields, serviceFields] = [new Map(was.entries), new Map(is.entries)];
    for (const key of new Set([...legacyFields.keys(), ...serviceFields.keys()])) {
      const inner = placeOf(place, key);
      const [old, now] = [legacyFields.get(key), serviceFields.get(key)];
      if (old === undefined || now === undefined) report(inner, old, now);
      else compare(inner, old, now);
    }
    // Of the common keys: the others are reported above.
    const legacyOrder = keysOf(was).filter((key) => serviceFields.has(key));
    const serviceOrder = keysOf(is).filter((key) => legacyFields.has(key));
    if (legacyOrder.join("\0") !== serviceOrder.join("\0")) {
      report(`${place} (order of keys)`, namesOf(legacyOrder), namesOf(serviceOrder));
    }
  };

  const compareLists = (place: string, was: Items, is: Items) => {
    for (let i = 0; i < Math.max(was.length, is.length); i++) {
      const [old, now] = [was[i], is[i]];
      if (old && now) compare(`${place}[${i}]`, old, now);
      else report(`${place}[${i}]`, old, now);
    }
  };

  /** Compares lists without an order: equal items match first, then those of one `id`, then by position. */
  const compareSets = (place: string, was: Items, is: Items) => {
    // Filled from the end, so that `pop` returns the first of equal items; `shift` would move all others.
    const rest = new Map<string, number[]>();
    for (let i = is.length - 1; i >= 0; i--) {
      const item = is[i];
      if (item === undefined) continue;
      rest.getOrInsertComputed(formatLosslessJson(item), () => []).push(i);
    }
    const old = [...was.entries()].filter(([, item]) =>
      rest.get(formatLosslessJson(item))?.pop() === undefined
    );
    const left = [...rest.values()].flat().toSorted((a, b) => a - b);
    const byId = new Map<string, number[]>();
    for (const i of left.toReversed()) byId.getOrInsertComputed(idOf(is[i]), () => []).push(i);
    const pairs = old.map(([i, item]) => ({ i, item, partner: byId.get(idOf(item))?.pop() }));
    const taken = new Set(pairs.map(({ partner }) => partner));
    const single = left.filter((i) => !taken.has(i));
    let singles = 0;
    for (const { i, item, partner } of pairs) {
      const now = is[partner ?? single[singles++] ?? is.length];
      if (now) compare(`${place}[${i}]`, item, now);
      else report(`${place}[${i}]`, item);
    }
    for (const i of single.slice(singles)) report(`${place}[${i}]`, undefined, is[i]);
  };

  compare("body", legacy, service);
  return found;
}

type ObjectText = Extract<LosslessJson, { kind: "object" }>;
type Items = readonly LosslessJson[];

function keysOf(object: ObjectText): string[] {
  return object.entries.map(([key]) => key);
}

function namesOf(keys: readonly string[]): LosslessJson {
  return { kind: "plain", text: keys.join(", ") };
}

function placeOf(place: string, key: string): string {
  return /^[\w-]+$/.test(key) ? `${place}.${key}` : `${place}[${JSON.stringify(key)}]`;
}

function idOf(lot: LosslessJson | undefined): string {
  return stringOf(fieldOf(lot, "id")) ?? "";
}
