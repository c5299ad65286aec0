import type { OperationId } from "../auth/access.ts";
import type { LoginThrottle } from "../auth/throttle.ts";
import { createTokenIssuer } from "../auth/tokens.ts";
import type { WatchedKeys } from "../auth/watched_keys.ts";
import { DRY_RUN_DONE, DRY_RUN_HEADER } from "../contract/dry_run.ts";
import { openSession } from "../db/session.ts";
import type { Write } from "../db/write.ts";
import { ApiError } from "../errors.ts";
import type { BodyLimits } from "../http/body.ts";
import type { Effects, RequestState } from "../http/operation.ts";
import type { Respond, Step } from "../http/request_pipeline.ts";
import type { DryRunOutcome, Metrics } from "../metrics.ts";
import { provenDryRun } from "./proof.ts";
import { createRolledBackWrites, DRY_RUN_SESSIONS } from "./rolled_back_writes.ts";

/*
 * Dry runs: the gateway requests the service's answer to a request before the old server executes it.
 * This folder is all of them: a step that app.ts adds to the request pipeline. Without the step the
 * header has no effect.
 */

/** The audience of the token in a dry run's answer to a login. Nothing accepts such a token. */
const DRY_RUN_AUDIENCE = "lotline-dry-run";

/** Writing operations whose effects are all in the request's state. */
const CAN_RUN_DRY: ReadonlySet<OperationId> = new Set(["login", "createLot", "createQcDecision"]);

interface Deps {
  /** Proves a request for a dry run; undefined: all are refused. */
  readonly secret: string | undefined;
  readonly databaseUrl: string;
  readonly keys: WatchedKeys;
  readonly throttle: LoginThrottle;
  readonly limits: BodyLimits;
  readonly metrics: Pick<Metrics, "dryRun">;
}

/** Disposing closes the step's connections. */
export interface DryRunStep extends Disposable {
  readonly step: Step;
}

/**
 * The step of dry runs: a request with a proof gets its answer, with effects that store nothing. Without
 * a valid proof the answer is 403, and so it is for an operation that needs its effect.
 */
export function createDryRunStep(
  { secret, databaseUrl, keys, throttle, limits, metrics }: Deps,
): DryRunStep {
  const writes = createRolledBackWrites(
    (onEnd) => openSession(databaseUrl, { ...DRY_RUN_SESSIONS, onEnd }),
    databaseUrl,
  );
  const effects = effectsOfDryRun(writes.write, keys, throttle);

  const dryRun = async (request: Request, facts: RequestState, next: Respond) => {
    facts.logged = { dry_run: true };
    const count = (outcome: DryRunOutcome) => metrics.dryRun(facts.operation ?? "unknown", outcome);
    const refuse = (outcome: DryRunOutcome, error: unknown): never => {
      count(outcome);
      throw error;
    };
    const proven = await provenDryRun(request, secret, limits).catch((error) =>
      refuse("unproven", error)
    );
    if (!canRunDry(facts.operation, request.method)) {
      refuse(
        "impossible",
        new ApiError("dry_run_impossible", "This can't be run without an effect"),
      );
    }
    facts.effects = effects;
    const response = await next(proven, facts);
    count(response.status >= 500 ? "failed" : "done");
    response.headers.set(DRY_RUN_HEADER, DRY_RUN_DONE);
    return response;
  };

  return {
    step: (request, facts, next) =>
      // `has` would make a list of all headers first.
      request.headers.get(DRY_RUN_HEADER) === null
        ? next(request, facts)
        : dryRun(request, facts, next),
    [Symbol.dispose]: () => writes[Symbol.dispose](),
  };
}

/** A path or method that leads to no operation has no effect either. */
function canRunDry(operation: OperationId | undefined, method: string): boolean {
  return operation === undefined || method === "GET" || method === "HEAD" ||
    CAN_RUN_DRY.has(operation);
}

/** Effects that store nothing and lead to the same answer. */
function effectsOfDryRun(write: Write, keys: WatchedKeys, throttle: LoginThrottle): Effects {
  const nothing = () => {};
  return {
    write,
    forgetTrace: () => Promise.resolve(),
    login: {
      consumeThrottle: throttle.peek,
      write,
      // The token expires at once.
      issueToken: createTokenIssuer({ keys, minutes: 0, audience: DRY_RUN_AUDIENCE }),
      rehashes: false,
      noteLongPassword: nothing,
      onOutcome: nothing,
    },
    // The sender of dry runs guesses no passwords.
    holdsBack: false,
  };
}
