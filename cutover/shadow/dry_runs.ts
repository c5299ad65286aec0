import { DRY_RUN_DONE, DRY_RUN_HEADER, signDryRun } from "../../contract/dry_run.ts";
import type { Log } from "../../log.ts";
import type { Sender } from "../upstream/send.ts";
import type {
  CapturedRequest,
  CapturedResponse,
  Exchange,
  HeaderLines,
} from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { originForm } from "../exchange/match_operation.ts";

/** Bounds of asking for dry runs. */
export interface DryRunLimits {
  /** How long a write waits for its dry run, in ms. */
  readonly writeMs: number;
  /** So many silences in a row, and writes wait for no dry run for `delayMs`. */
  readonly failures: number;
  readonly pauseMs: number;
}

/** Asks Lotline what it would answer. */
export interface DryRuns {
  /** For a write that waits: bounded in time, and not asked when Lotline has been silent of late. */
  writeSender(
    request: CapturedRequest,
    extra: HeaderLines,
    capturedBytes: number,
  ): Promise<Exchange>;
  /** In the background. */
  withLongTimeout(
    request: CapturedRequest,
    timeoutMs: number,
    extra: HeaderLines,
    capturedBytes: number,
  ): Promise<Exchange>;
}

/**
 * Asks Lotline for dry runs, with a proof of the secret.
 *
 * Whatever is behind the address may not know of dry runs, and then each of them would be executed. So
 * the first answer that should say it had no effect and doesn't ends all of them, for as long as the
 * process lives: only a person can put that right.
 *
 * @param onEffect told once, of that answer
 */
export function createDryRuns(
  { sender, secret, log, limits, onEffect }: {
    readonly sender: Sender;
    readonly secret: string;
    readonly log: Log;
    readonly limits: DryRunLimits;
    readonly onEffect: (response: CapturedResponse, request: CapturedRequest) => void;
  },
): DryRuns {
  let isStopped = false;
  let failures = 0;
  let pausedUntil = 0;
  let isProbing = false;

  const send = async (
    request: CapturedRequest,
    timeoutMs: number,
    extra: HeaderLines,
    capturedBytes: number,
  ) => {
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
    if (mayHaveExecuted(status)) {
      if (!isStopped) {
        isStopped = true;
        log("error", "dry_runs_stopped", { status });
        onEffect(sent, request);
      }
    } else {
      log("warn", "dry_run_refused", { status });
    }
    return { failure: "not_asked" as const, ms };
  };

  return {
    withLongTimeout: send,
    async writeSender(request, extra, capturedBytes) {
      const isPaused = failures >= limits.failures;
      // After the pause one write tries it for all.
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

/** Whether a server that knows nothing of dry runs may have executed what it answered so. */
function mayHaveExecuted(status: number): boolean {
  return status < 400 || status === 500;
}
