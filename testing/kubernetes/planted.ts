import { ok, strictEqual } from "node:assert/strict";
import type { KubernetesTools } from "./tools.ts";
import { readResources } from "./manifests.ts";
import { type Expected, mistakesIn } from "./mistakes.ts";

/** The oldest Kubernetes that the documents promise, one between, and the newest that is known. */
export const KUBERNETES_VERSIONS = ["1.30", "1.33", "1.37"];

/** A mistake: what a text becomes, and what must be said of it. */
export interface Planted {
  readonly from: string;
  readonly to: string;
  readonly says: RegExp;
}

/** What the schemas of all these versions find, as one text. */
export async function schemaMistakes(
  tools: KubernetesTools,
  documents: string,
  versions = KUBERNETES_VERSIONS,
): Promise<string> {
  const found: string[] = [];
  for (const version of versions) found.push(...await tools.schemaMistakes(documents, version));
  return found.join("\n");
}

/** What Lotline itself finds, as one text. */
export const lotlineMistakes = async (documents: string, expected: Expected): Promise<string> =>
  (await mistakesIn(readResources(documents), expected)).join("\n");

/** Each planted mistake is found by a check, and nothing else is. */
export async function findsPlanted(
  documents: string,
  planted: readonly Planted[],
  check: (documents: string) => Promise<string>,
): Promise<void> {
  for (const { from, to, says } of planted) {
    ok(documents.includes(from), `nothing has: ${from}`);
    const found = await check(documents.replace(from, to));
    ok(says.test(found), `${from} → ${to} gives: ${found}`);
    strictEqual(found.split("\n").length, 1, found);
  }
}
