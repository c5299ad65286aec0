/**
 * A thread that makes the answers of large traces, one after the other, on a connection of its own.
 *
 * @module
 */

import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { createSessionPool } from "../db/session_pool.ts";
import { openSession } from "../db/session.ts";
import {
  type LargeTraceBounds,
  type LargeTraceResult,
  makeLargeBody,
  TooManyBytesError,
} from "./large_trace_body.ts";

/** What the thread is started with. */
export interface LargeTraceSettings extends LargeTraceBounds {
  readonly databaseUrl: string;
  /** PostgreSQL gives a statement up after so many ms. */
  readonly statementTimeoutMs: number;
}

/** What it answers to a lot's code. */
export type LargeTraceReply = LargeTraceResult | {
  readonly kind: "failed";
  readonly message: string;
  /** PostgreSQL's or the connection's, if there is one. */
  readonly code: string | undefined;
};

const LOCK_TIMEOUT_MS = 2_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
/** How long the connection is kept for the next one, in ms. */
const IDLE_MS = 60_000;
/** How much longer than PostgreSQL's own timeout an answer is waited for, in ms. */
const LINK_SLACK_MS = 1_000;

// Other requests go first, as far as there are too few cores for all. Not last of all: with every core
// busy, a thread of priority 19 would get next to nothing. On Linux this is for the thread alone.
if (Deno.build.os === "linux") setPriority(0, 2);

const { databaseUrl, statementTimeoutMs, ...bounds } = workerData as LargeTraceSettings;
const sessions = createSessionPool((onEnd) =>
  openSession(databaseUrl, {
    name: "lotline-large-traces",
    statementTimeoutMs,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    idleInTransactionTimeoutMs: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    idleTimeoutMs: IDLE_MS,
    responseTimeoutMs: statementTimeoutMs + LINK_SLACK_MS,
    onEnd,
  }), IDLE_MS);

parentPort?.on("message", async (lotCode: string) => {
  const reply = await replyTo(lotCode);
  const blocks = reply.kind === "body" ? reply.blocks.map(({ buffer }) => buffer) : [];
  parentPort?.postMessage(reply, blocks);
});

async function replyTo(lotCode: string): Promise<LargeTraceReply> {
  try {
    return await sessions.use((session) => makeLargeBody(session, lotCode, bounds));
  } catch (error) {
    if (error instanceof TooManyBytesError) return { kind: "too_large" };
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    return { kind: "failed", message: String(error), code };
  }
}
