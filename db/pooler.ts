import type { Address } from "./address.ts";
import { type Pooler, probePooler } from "./pooler_probe.ts";

export type { Pooler };

const NONE: Pooler = { kind: "none" };
const MAX_ADDRESSES = 16;

interface Entry {
  readonly found: Promise<Pooler>;
  known?: Pooler;
}

const entries = new Map<string, Entry>();

const keyOf = (address: Address) => JSON.stringify(address);

/**
 * The pooler that an address leads to: as the address says, or as a connection shows. It is looked for
 * once; after a failure, with the next call.
 *
 * @throws as a statement does when no connection can be made
 */
export function poolerOf(address: Address): Promise<Pooler> {
  if (address.pooler === "none") return Promise.resolve(NONE);
  const key = keyOf(address);
  const existing = entries.get(key);
  if (existing !== undefined) return existing.found;
  if (entries.size >= MAX_ADDRESSES) entries.clear();
  const entry: Entry = { found: probePooler(address) };
  entries.set(key, entry);
  entry.found.then(
    (pooler) => entry.known = pooler,
    () => {
      if (entries.get(key) === entry) entries.delete(key);
    },
  );
  return entry.found;
}

/** The same when it is known already. */
export function knownPooler(address: Address): Pooler | undefined {
  return address.pooler === "none" ? NONE : entries.get(keyOf(address))?.known;
}

/** Looks again with the next connection: the address may lead elsewhere by now. */
export function forgetPooler(address: Address): void {
  entries.delete(keyOf(address));
}
