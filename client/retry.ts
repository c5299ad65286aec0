const FIRST_WAIT_MS = 250;
const MAX_BACKOFF_MS = 5_000;
/** Who is asked to wait for longer than this is told so instead of waiting. */
const MAX_WAIT_MS = 30_000;

/** What became of a try: a response's status, or none. */
export interface Outcome {
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
}

/**
 * How many milliseconds to wait before the next try; undefined when there is to be none.
 *
 * @param tries how many there were
 * @param retries how many there may be after the first
 * @param jitter from 0 to 1, so that clients that failed together don't come back together
 */
export function waitBeforeRetry(
  { status, retryAfterMs }: Outcome,
  { tries, retries }: { readonly tries: number; readonly retries: number },
  jitter: number,
): number | undefined {
  if (tries > retries || !isPassing(status, retryAfterMs)) return undefined;
  const backoff = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), MAX_BACKOFF_MS);
  if (retryAfterMs === undefined) return backoff * (0.5 + jitter / 2);
  if (retryAfterMs > MAX_WAIT_MS) return undefined;
  return Math.max(backoff, retryAfterMs) * (1 + jitter / 4);
}

/** Whether another try may end otherwise. */
function isPassing(status: number | undefined, retryAfterMs: number | undefined): boolean {
  switch (status) {
    case undefined:
    case 429:
    case 502:
    case 503:
    case 504:
      return true;
    // The first try with this key is still being worked on; any other conflict stays one.
    case 409:
      return retryAfterMs !== undefined;
    default:
      return false;
  }
}

/** Waits; rejects with the signal's reason as soon as it is aborted. */
export async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waited = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await orAborted(waited, signal);
  } finally {
    clearTimeout(timer);
  }
}

/** What the promise gives, unless the signal is aborted before; then its reason is thrown. */
export async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return await promise;
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (abort !== undefined) signal.removeEventListener("abort", abort);
  }
}
