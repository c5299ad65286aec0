import type { AuthMode } from "../../auth/guard.ts";
import { addEvents, newCounts, tableOf } from "./counts.ts";
import { type Instance, startInstance } from "./instance.ts";
import { documentOfMode, operationsOf } from "./mode_document.ts";
import { runUnconfigured, type UnconfiguredRun } from "./schemathesis.ts";

/* Schemathesis without hooks and settings, on the published documents. */

/** What differs between the runs of one mode. */
type Run = Pick<UnconfiguredRun, "document" | "seed" | "examples">;

/**
 * The runs, in their order: each seed twice on the same data, and the first one on the document for
 * OpenAPI 3.0.
 */
export function runsOf({ seeds, examples, isShort }: {
  readonly seeds: readonly number[];
  readonly examples: number;
  /** Each seed once, on the document for OpenAPI 3.1. */
  readonly isShort: boolean;
}): Run[] {
  const on = (document: Run["document"]) => (seed: number) => ({ document, seed, examples });
  const once = seeds.map(on("/openapi.json"));
  if (isShort) return once;
  return [...once.flatMap((run) => [run, run]), ...seeds.slice(0, 1).map(on("/openapi-3.0.json"))];
}

/**
 * Runs them one after the other against one service.
 *
 * @returns whether none had a finding
 */
export async function fuzzPublished(
  mode: AuthMode,
  runs: readonly Run[],
  folder: string,
  say: (line: string) => void,
): Promise<boolean> {
  const counts = newCounts();
  let isGreen = true;
  await using instance = await startInstance(mode);
  for (const [at, run] of runs.entries()) {
    const started = performance.now();
    const name = `unconfigured-${mode}-${at + 1}`;
    // The last run has ended its token with a logout.
    const token = await tokenOf(instance);
    const result = await runUnconfigured({ ...run, url: instance.url, token, folder, name });
    await addEvents(counts, result.events);
    isGreen &&= result.isGreen;
    if (!result.isGreen) say(result.output);
    const seconds = Math.round((performance.now() - started) / 1000);
    const what = `AUTH_MODE=${mode}, unconfigured, ${run.document}, seed ${run.seed}`;
    say(`${what}: ${result.isGreen ? "ok" : "FAILED"} (${seconds} s)`);
  }
  const table = tableOf(counts, operationsOf(documentOfMode(mode)));
  say(`\nAUTH_MODE=${mode}, unconfigured\n\n${table}\n`);
  return isGreen;
}

/** A new token of the account with the role ADMIN; undefined in `AUTH_MODE=legacy`. */
export async function tokenOf({ url, accounts }: Instance): Promise<string | undefined> {
  const account = accounts.find(({ role }) => role === "ADMIN");
  if (account === undefined) return undefined;
  const { email, password } = account;
  const response = await fetch(`${url}/api/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
  const { token } = await response.json();
  return String(token);
}
