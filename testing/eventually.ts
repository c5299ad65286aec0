import { QueryDeadlineError } from "../db/query_deadline.ts";
import * as timing from "../timing.ts";

/** The default timeout. */
const SECONDS = 20;

/**
 * Waits until `isSo` returns true.
 * @param seconds the timeout, where the wait may take longer on a busy machine
 * @throws Error naming `what` after the timeout
 */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  { seconds = SECONDS }: { readonly seconds?: number } = {},
): Promise<void> {
  const deadline = performance.now() + seconds * 1_000;
  while (!await isSo()) {
    if (performance.now() > deadline) throw new Error(`waited too long: ${what}`);
    await timing.delay(10);
  }
}

/**
 * The result of an action that stores nothing, begun again while it takes longer than its own deadline,
 * which a busy machine can't keep.
 * @throws what the action throws otherwise, and what it throws at the tenth time
 */
export async function patiently<T>(action: () => PromiseLike<T>): Promise<T> {
  for (let time = 1;; time++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof QueryDeadlineError) || time === 10) throw error;
    }
  }
}

/**
 * A promise's result.
 * @throws Error naming `what` after 20 s, or after `seconds`
 */
export async function withDeadline<T>(
  what: string,
  promise: PromiseLike<T>,
  { seconds = SECONDS }: { readonly seconds?: number } = {},
): Promise<T> {
  return await timing.withDeadline(promise, seconds * 1_000, () => {
    throw new Error(`waited too long: ${what}`);
  });
}
