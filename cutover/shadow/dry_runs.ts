import { DRY_RUN_DONE, DRY_RUN_HEADER, signDryRun } from "../../contract/dry_run.ts";
import type { Log } from "../../log.ts";
import type { Asker } from "../upstream/ask.ts";
import type { Asked, CapturedAnswer, CapturedRequest, HeaderLines } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { originForm } from "../exchange/match_operation.ts";

/** Bounds of asking for dry runs. */
export interface DryRunLimits {
  /** How long a write waits for its dry run, in ms. */
  readonly writeMs: number;
  /** So many silences in a row, and writes wait for no dry run for `pauseMs`. */
  readonly silences: number;
  readonly pauseMs: number;
}

/** Asks Lotline what it would answer. */
export interface DryRuns {
  /** For a write that waits: bounded in time, and not asked when Lotline has been silent of late. */
  ofWrite(request: CapturedRequest, extra: HeaderLines, keptBytes: number): Promise<Asked>;
  /** In the background. */
  patiently(
    request: CapturedRequest,
    timeoutMs: number,
    extra: HeaderLines,
    keptBytes: number,
  ): Promise<Asked>;
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
  { asker, secret, log, limits, onEffect }: {
    readonly asker: Asker;
    readonly secret: string;
    readonly log: Log;
    readonly limits: DryRunLimits;
    readonly onEffect: (answer: CapturedAnswer, request: CapturedRequest) => void;
  },
): DryRuns {
  let isStopped = false;
  let silences = 0;
  let pausedUntil = 0;
  let isProbing = false;

  const ask = async (
    request: CapturedRequest,
    timeoutMs: number,
    extra: HeaderLines,
    keptBytes: number,
  ) => {
    if (isStopped) return NOT_ASKED;
    const { method, body } = request;
    const target = originForm(request.target);
    const proof = signDryRun(secret, { method, target, body, at: Date.now() });
    const headers: HeaderLines = [...extra, [DRY_RUN_HEADER, proof]];
    const asked = await asker.ask(request, timeoutMs, headers, keptBytes);
    if ("silence" in asked || headerOf(asked.headers, DRY_RUN_HEADER) === DRY_RUN_DONE) {
      return asked;
    }
    const { status, ms } = asked;
    if (mayHaveExecuted(status)) {
      if (!isStopped) {
        isStopped = true;
        log("error", "dry_runs_stopped", { status });
        onEffect(asked, request);
      }
    } else {
      log("warn", "dry_run_refused", { status });
    }
    return { silence: "not_asked" as const, ms };
  };

  return {
    patiently: ask,
    async ofWrite(request, extra, keptBytes) {
      const isPaused = silences >= limits.silences;
      // After the pause one write tries it for all.
      if (isPaused && (isProbing || performance.now() < pausedUntil)) return NOT_ASKED;
      isProbing = isPaused;
      const asked = await ask(request, limits.writeMs, extra, keptBytes);
      if (isPaused) isProbing = false;
      silences = "silence" in asked ? silences + 1 : 0;
      if (silences >= limits.silences) pausedUntil = performance.now() + limits.pauseMs;
      return asked;
    },
  };
}

const NOT_ASKED = { silence: "not_asked", ms: 0 } as const;

/** Whether a server that knows nothing of dry runs may have executed what it answered so. */
function mayHaveExecuted(status: number): boolean {
  return status < 400 || status === 500;
}
