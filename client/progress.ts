import { LotlineError } from "./errors.ts";
import { notDone } from "./lines.ts";
import { sleep } from "./retry.ts";
import type { DeepTrace } from "./shapes.ts";

const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 2_000;

/** How to wait for background work. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** When to give up; 10 minutes unless it is said. */
  readonly patienceMs?: number | undefined;
}

/**
 * Asks again, ever less often, until the work is done.
 *
 * @throws {LotlineError} `not_done` when it failed or was cancelled, `timeout` when patience ends
 */
export async function untilDone(
  what: "trace" | "audit",
  readState: () => Promise<DeepTrace["state"]>,
  { signal, patienceMs = 600_000 }: WaitOptions,
): Promise<void> {
  const end = performance.now() + patienceMs;
  for (let wait = FIRST_WAIT_MS;; wait = Math.min(wait * 1.5, MAX_WAIT_MS)) {
    const state = await readState();
    if (state === "done") return;
    if (state === "failed" || state === "cancelled") throw notDone(what, state);
    const left = end - performance.now();
    if (left <= 0) throw new LotlineError("timeout", `The ${what} is still ${state}`);
    await sleep(Math.min(wait, left), signal);
  }
}
