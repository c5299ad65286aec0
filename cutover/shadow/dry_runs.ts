import { DRY_RUN_DONE, DRY_RUN_HEADER, signDryRun } from "../../contract/dry_run.ts";
import type { Log } from "../../log.ts";
import type { Sender } from "../upstream/send.ts";
import {
  type CapturedRequest,
  type CapturedResponse,
  type Exchange,
  type HeaderLines,
  headerOf,
} from "../exchange/exchange.ts";
import { originForm } from "../exchange/match_operation.ts";

/**
 * Sends dry runs with a proof of the secret.
 *
 * A server that doesn't know dry runs would execute them. The first response that should confirm the dry
 * run and doesn't therefore stops all of them until the process restarts.
 *
 * @param onEffect called once, with that response
 */
export function createDryRuns(
  { sender, secret, log, limits, onEffect }: {
    readonly sender: Sender;
    readonly secret: string;
    readonly log: Log;
    /** After this many failures in a row, writes skip the dry run for `pauseMs`. */
    readonly limits: Readonly<Record<"writeMs" | "failures" | "pauseMs", number>>;
    readonly onEffect: (response: CapturedResponse, request: CapturedRequest) => void;
  },
) {
  let isStopped = false;
  let failures = 0;
  let pausedUntil = 0;
  let isProbing = false;

  const send: Sender["send"] = async (request, timeoutMs, extra = [], capturedBytes) => {
    if (isStopped) return NOT_SENT;
    const { method, body } = request;
    const target = originForm(request.target);
    const proof = signDryRun(secret, { method, target, body, at: Date.now() });
    const headers: HeaderLines = [...extra, [DRY_RUN_HEADER, proof]];
    const sent = await sender.send(request, timeoutMs, headers, capturedBytes);
    if ("failure" in sent || headerOf(sent.headers, DRY_RUN_HEADER) === DRY_RUN_DONE) {
      return sent;
    }
    const { status, ms } = sent;
    // Such a request may have been executed by a server without dry runs.
    if (status < 400 || status === 500) {
      if (!isStopped) {
        isStopped = true;
        log("error", "dry_runs_stopped", { status });
        onEffect(sent, request);
      }
    } else {
      log("warn", "dry_run_refused", { status });
    }
    return { failure: "not_asked", ms };
  };

  return {
    inBackground: send,
    /** For a write that waits for it: with a short timeout, and skipped during a pause. */
    async beforeWrite(
      request: CapturedRequest,
      extra: HeaderLines,
      capturedBytes: number,
    ): Promise<Exchange> {
      const isPaused = failures >= limits.failures;
      // After the pause one write probes for all.
      if (isPaused && (isProbing || performance.now() < pausedUntil)) return NOT_SENT;
      isProbing = isPaused;
      const sent = await send(request, limits.writeMs, extra, capturedBytes);
      if (isPaused) isProbing = false;
      failures = "failure" in sent ? failures + 1 : 0;
      if (failures >= limits.failures) pausedUntil = performance.now() + limits.pauseMs;
      return sent;
    },
  };
}

const NOT_SENT = { failure: "not_asked", ms: 0 } as const;
