import { addAbortListener } from "node:events";
import { Worker } from "node:worker_threads";
import { QueryDeadlineError } from "../db/query_deadline.ts";
import { onWrongServer } from "../db/servers.ts";
import { ApiError } from "../errors.ts";
import type { LargeBody, LargeTraceBounds } from "./large_trace_body.ts";
import type { LargeTraceReply, LargeTraceSettings } from "./large_trace_thread.ts";

/*
 * One-hop traces that are too large for the shared statement. A thread serializes them one at a
 * time, so that no other request waits for them. They stay in memory until they are sent, and their
 * total size is bounded.
 */

export type LargeTraces = ReturnType<typeof createLargeTraces>;

/** A response that occupies memory until it is disposed. */
export interface HeldBody extends LargeBody, Disposable {}

/** The limits in production. No plant has a lot with so many links. */
export const LARGE_TRACE_LIMITS = {
  maxLinks: 250_000,
  maxBytes: 128 * 1024 * 1024,
  statementTimeoutMs: 20_000,
  /** For its turn and its result together; less than the gateway's timeout. */
  deadlineMs: 25_000,
  maxWaiting: 64,
  /** The most bytes of all results, in work or being sent. */
  maxHeldBytes: 256 * 1024 * 1024,
  /** The thread ends after this long without work. */
  idleMs: 60_000,
};

interface Task {
  readonly lotCode: string;
  readonly requests: Set<PromiseWithResolvers<HeldBody | undefined>>;
}

/** Disposing ends the thread. */
export function createLargeTraces(databaseUrl: string, limits = LARGE_TRACE_LIMITS) {
  const { maxLinks, maxBytes, statementTimeoutMs } = limits;
  const settings: LargeTraceSettings = { databaseUrl, maxLinks, maxBytes, statementTimeoutMs };
  const waiting = new Map<string, Task>();
  let current: Task | undefined;
  let thread: Worker | undefined;
  /** The thread whose connection leads to a server that the others have left. */
  let outdated: Worker | undefined;
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

  const departing = onWrongServer(databaseUrl, () => {
    if (current === undefined) endThread();
    else outdated = thread;
  });

  const next = () => {
    const [task] = waiting.values();
    // The memory must suffice for the largest trace.
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
    if (thread !== undefined && thread === outdated) endThread();
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
      // toApiError reads the code.
      const error = reply.kind === "failed"
        ? Object.assign(new Error(reply.message), { code: reply.code })
        : tooLarge(limits);
      for (const { reject } of task.requests) reject(error);
    }
  };
  /** Shares the body with `count` requests, and frees its memory when all have released it. */
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
      // No request waits for it any more, so its thread is ended at once.
      current = undefined;
      endThread();
      next();
    }
  };

  return {
    /**
     * Returns the trace of a lot. Requests for one lot share a result that was not begun before
     * they came.
     *
     * @param signal the client's; when it aborts, work for this request stops
     * @returns undefined when there is no such lot
     * @throws {ApiError} 413 larger than a response may be, 503 too many requests wait
     * @throws {QueryDeadlineError} after `deadlineMs`
     */
    async find(lotCode: string, signal: AbortSignal): Promise<HeldBody | undefined> {
      signal.throwIfAborted();
      if (requests >= limits.maxWaiting) {
        throw new ApiError("overloaded", "Too many large traces are waiting, try again soon");
      }
      const task = waiting.get(lotCode) ?? { lotCode, requests: new Set() };
      waiting.set(lotCode, task);
      const request = Promise.withResolvers<HeldBody | undefined>();
      task.requests.add(request);
      const fail = (error: unknown) => {
        // Removed at once, so that no result is held for a client that has gone.
        task.requests.delete(request);
        request.reject(error);
      };
      using _listener = addAbortListener(signal, () => fail(signal.reason));
      const timeout = setTimeout(() => {
        fail(new QueryDeadlineError(`no large trace in ${limits.deadlineMs} ms`));
      }, limits.deadlineMs);
      requests++;
      try {
        next();
        return await request.promise;
      } finally {
        requests--;
        clearTimeout(timeout);
        detach(task, request);
      }
    },
    [Symbol.dispose]() {
      departing[Symbol.dispose]();
      endThread();
    },
  };
}

function tooLarge({ maxLinks, maxBytes }: LargeTraceBounds): ApiError {
  return new ApiError(
    "trace_too_large",
    `The lot has more than ${maxLinks} links, or its trace more than ${maxBytes} bytes: ` +
      "take it in pages with POST /api/traces",
  );
}
