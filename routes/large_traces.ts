import { Worker } from "node:worker_threads";
import { QueryDeadlineError } from "../db/query_deadline.ts";
import { ApiError } from "../errors.ts";
import type { LargeBody } from "./large_trace_body.ts";
import type { LargeTraceReply, LargeTraceSettings } from "./large_trace_thread.ts";

/*
 * One-hop traces that are too large for the statement that requests share. A thread makes them, one
 * at a time, so that no other request waits for them; they are kept in memory only until they are
 * sent, and their bytes together have a bound.
 */

/** The answers of large traces. Disposing ends the thread. */
export interface LargeTraces extends Disposable {
  /**
   * Makes the answer for a lot. Requests for one lot share it, if it wasn't begun before they came.
   *
   * @param signal the client's; when it is aborted, nothing is made for it any more
   * @returns nothing when there is no such lot
   * @throws {ApiError} 413 when it is larger than an answer may be, 503 when too many wait
   * @throws {QueryDeadlineError} when it takes too long
   */
  find(lotCode: string, signal: AbortSignal): Promise<HeldBody | undefined>;
}

/** An answer that takes up memory until it is released. */
export interface HeldBody extends LargeBody, Disposable {}

/** Bounds of large traces; times in ms. */
export interface LargeTraceLimits extends Omit<LargeTraceSettings, "databaseUrl"> {
  /** How long a request waits for its answer, for its turn included. */
  readonly deadlineMs: number;
  /** The most requests that wait. */
  readonly maxWaiting: number;
  /** The most bytes that are kept of all answers: those that are made and those that are sent. */
  readonly maxHeldBytes: number;
  /** The thread ends when it has had nothing to do for so long. */
  readonly idleMs: number;
}

/** What holds unless a test says otherwise. No plant has a lot with so many links. */
export const LARGE_TRACE_LIMITS: LargeTraceLimits = {
  maxLinks: 250_000,
  maxBytes: 128 * 1024 * 1024,
  statementTimeoutMs: 20_000,
  // Less than the gateway waits for an answer.
  deadlineMs: 25_000,
  maxWaiting: 64,
  maxHeldBytes: 256 * 1024 * 1024,
  idleMs: 60_000,
};

/** One answer that is to be made, or is being made. */
interface Task {
  readonly lotCode: string;
  readonly requests: Set<PromiseWithResolvers<HeldBody | undefined>>;
}

/** @param databaseUrl where the thread connects to, when it is first needed */
export function createLargeTraces(
  databaseUrl: string,
  limits: LargeTraceLimits = LARGE_TRACE_LIMITS,
): LargeTraces {
  const { maxLinks, maxBytes, statementTimeoutMs } = limits;
  const settings: LargeTraceSettings = { databaseUrl, maxLinks, maxBytes, statementTimeoutMs };
  /** In the order of their turns. */
  const waiting = new Map<string, Task>();
  let current: Task | undefined;
  let thread: Worker | undefined;
  let idleTimer: ReturnType<typeof setTimeout> | undefined;
  let requests = 0;
  let heldBytes = 0;

  const endThread = () => {
    clearTimeout(idleTimer);
    void thread?.terminate();
    thread = undefined;
  };
  const startThread = (): Worker => {
    const started = new Worker(new URL("./large_trace_thread.ts", import.meta.url), {
      workerData: settings,
    });
    started.on("message", (reply: LargeTraceReply) => {
      if (started === thread) finish(reply);
    });
    started.on("error", (error: Error) => {
      if (started !== thread) return;
      thread = undefined;
      finish({ kind: "failed", message: `the thread failed: ${error.message}`, code: undefined });
    });
    return started;
  };

  const next = () => {
    const [task] = waiting.values();
    // Room for the largest one that there may be.
    if (current !== undefined || task === undefined || heldBytes + maxBytes > limits.maxHeldBytes) {
      return;
    }
    waiting.delete(task.lotCode);
    current = task;
    clearTimeout(idleTimer);
    thread ??= startThread();
    thread.postMessage(task.lotCode);
  };
  const finish = (reply: LargeTraceReply) => {
    const task = current;
    current = undefined;
    if (task !== undefined) settle(task, reply);
    idleTimer = setTimeout(endThread, limits.idleMs);
    next();
  };
  const settle = (task: Task, reply: LargeTraceReply) => {
    if (task.requests.size === 0) return;
    if (reply.kind === "body") {
      const hold = holder(reply, task.requests.size);
      for (const { resolve } of task.requests) resolve(hold());
    } else if (reply.kind === "missing") {
      for (const { resolve } of task.requests) resolve(undefined);
    } else {
      const error = reply.kind === "failed"
        ? new LargeTraceError(reply.message, reply.code)
        : tooLarge(limits);
      for (const { reject } of task.requests) reject(error);
    }
  };
  /** Gives the answer to as many, and its memory back when all have released it. */
  const holder = (body: LargeBody, count: number) => {
    let holders = count;
    heldBytes += body.bytes;
    return (): HeldBody => {
      let isHeld = true;
      const release = () => {
        if (!isHeld) return;
        isHeld = false;
        if (--holders > 0) return;
        heldBytes -= body.bytes;
        next();
      };
      return { ...body, [Symbol.dispose]: release };
    };
  };
  const detach = (task: Task, request: PromiseWithResolvers<HeldBody | undefined>) => {
    task.requests.delete(request);
    if (task.requests.size > 0) return;
    if (waiting.get(task.lotCode) === task) waiting.delete(task.lotCode);
    else if (current === task) {
      // Nobody waits for it any more: it ends with its thread, in whatever state that is.
      current = undefined;
      endThread();
      next();
    }
  };

  return {
    async find(lotCode, signal) {
      signal.throwIfAborted();
      if (requests >= limits.maxWaiting) {
        throw new ApiError("overloaded", "Too many large traces are waiting, try again soon");
      }
      const task = waiting.get(lotCode) ?? { lotCode, requests: new Set() };
      waiting.set(lotCode, task);
      const request = Promise.withResolvers<HeldBody | undefined>();
      task.requests.add(request);
      const fail = (error: unknown) => {
        // At once: an answer that comes in this moment is held for nobody who has gone.
        task.requests.delete(request);
        request.reject(error);
      };
      const detached = () => fail(signal.reason);
      const timeout = setTimeout(() => {
        fail(new QueryDeadlineError(`no large trace in ${limits.deadlineMs} ms`));
      }, limits.deadlineMs);
      signal.addEventListener("abort", detached, { once: true });
      requests++;
      try {
        next();
        return await request.promise;
      } finally {
        requests--;
        clearTimeout(timeout);
        signal.removeEventListener("abort", detached);
        detach(task, request);
      }
    },
    [Symbol.dispose]: endThread,
  };
}

function tooLarge({ maxLinks, maxBytes }: LargeTraceLimits): ApiError {
  return new ApiError(
    "trace_too_large",
    `The lot has more than ${maxLinks} links, or its trace more than ${maxBytes} bytes: ` +
      "take it in pages with POST /api/traces",
  );
}

/** What failed in the thread; its code says whether that was the database. */
class LargeTraceError extends Error {
  override name = "LargeTraceError";

  constructor(message: string, readonly code: string | undefined) {
    super(message);
  }
}
