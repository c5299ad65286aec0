/**
 * A thread that serializes large traces one after the other, on its own connection.
 *
 * @module
 */

import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { CONNECT_TIMEOUT_MS } from "../db/connect.ts";
import { createSessionPool } from "../db/session_pool.ts";
import { openSession } from "../db/session.ts";
import {
  type LargeTraceBounds,
  type LargeTraceResult,
  makeLargeBody,
  TooManyBytesError,
} from "./large_trace_body.ts";

export interface LargeTraceSettings extends LargeTraceBounds {
  readonly databaseUrl: string;
  /** In ms. */
  readonly statementTimeoutMs: number;
}

export type LargeTraceReply = LargeTraceResult | {
  readonly kind: "failed";
  readonly message: string;
  /** A code of PostgreSQL or of the connection. */
  readonly code: string | undefined;
};

const LOCK_TIMEOUT_MS = 2_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
/** The connection is closed after this long without work, in ms. */
const IDLE_MS = 60_000;

// Other requests take precedence on a busy machine. Priority 19 would starve the thread when all
// cores are busy. Linux sets the priority of this thread only.
if (Deno.build.os === "linux") setPriority(0, 2);

const { databaseUrl, statementTimeoutMs, ...bounds } = workerData as LargeTraceSettings;
const sessions = createSessionPool(
  (onEnd) =>
    openSession(databaseUrl, {
      name: "lotline-large-traces",
      statementTimeoutMs,
      lockTimeoutMs: LOCK_TIMEOUT_MS,
      idleInTransactionTimeoutMs: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      idleTimeoutMs: IDLE_MS,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      onEnd,
    }),
  IDLE_MS,
  databaseUrl,
);

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
