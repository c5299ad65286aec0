import * as timing from "../timing.ts";

/** How long something is waited for, unless said. */
const SECONDS = 20;

/**
 * Waits until `isSo` says yes.
 * @param seconds how long at most, where what is awaited may take longer on a busy machine
 * @throws Error naming `what` when that takes longer
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
 * What a promise resolves to.
 * @throws Error naming `what` when that takes longer than 20 s, or than `seconds`
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
