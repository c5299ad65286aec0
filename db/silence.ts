/** Notices that a connection carries nothing any more. */
export interface SilenceWatch {
  /** From now on, responses are expected. */
  begin(): void;
  /** A statement was sent. */
  sent(): void;
  /** A statement has its result or its error. */
  settled(): void;
  /** Something has arrived. */
  received(): void;
  end(): void;
}

/** The time to read what has arrived while this process was busy, in ms. */
const GRACE_MS = 50;

/**
 * @param maxMs how long nothing may arrive while a statement waits for its response; 0: for ever
 * @param onSilent called once, when it took longer
 */
export function watchSilence(maxMs: number, onSilent: () => void): SilenceWatch {
  let waiting = 0;
  let since = 0;
  let hasBegun = false;
  let isOverdue = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const arm = (ms: number) => {
    timer = setTimeout(check, ms);
    // The socket keeps the process running, not its watch.
    Deno.unrefTimer(timer);
  };
  // One timer for many statements: it looks at what has happened since it was set.
  const check = () => {
    timer = undefined;
    if (waiting === 0) return;
    const restMs = since + maxMs - performance.now();
    if (restMs <= 0 && isOverdue) return onSilent();
    isOverdue = restMs <= 0;
    arm(isOverdue ? GRACE_MS : restMs);
  };
  const expect = () => {
    since = performance.now();
    if (timer === undefined) arm(maxMs);
  };

  if (maxMs === 0) {
    const nothing = () => {};
    return { begin: nothing, sent: nothing, settled: nothing, received: nothing, end: nothing };
  }
  return {
    begin() {
      hasBegun = true;
      if (waiting > 0) expect();
    },
    sent() {
      if (waiting++ === 0 && hasBegun) expect();
    },
    settled() {
      waiting--;
    },
    received() {
      since = performance.now();
    },
    end() {
      hasBegun = false;
      clearTimeout(timer);
    },
  };
}
