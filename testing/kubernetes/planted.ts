import { notStrictEqual, ok, strictEqual } from "node:assert/strict";
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

/** Every mistake that the checks find in rendered documents, as one text. */
export async function checkAll(
  { schemaMistakes }: KubernetesTools,
  documents: string,
  expected: Expected,
  versions: readonly string[] = KUBERNETES_VERSIONS,
): Promise<string> {
  const found: string[] = [];
  for (const version of versions) found.push(...await schemaMistakes(documents, version));
  // What has another form than the schemas' can't be looked at further.
  if (found.length === 0) found.push(...await mistakesIn(readResources(documents), expected));
  return found.join("\n");
}

/** Each planted mistake is found, and nothing else is. */
export async function findsPlanted(
  tools: KubernetesTools,
  documents: string,
  expected: Expected,
  planted: readonly Planted[],
): Promise<void> {
  for (const { from, to, says } of planted) {
    ok(documents.includes(from), `nothing has: ${from}`);
    const changed = documents.replace(from, to);
    notStrictEqual(changed, documents);
    const found = await checkAll(tools, changed, expected, KUBERNETES_VERSIONS.slice(-1));
    ok(says.test(found), `${from} → ${to} gives: ${found}`);
    strictEqual(found.split("\n").length, 1, found);
  }
}
