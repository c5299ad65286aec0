import { createHash } from "node:crypto";
import type { OperationId } from "../auth/access.ts";
import type { LoginThrottle } from "../auth/throttle.ts";
import { createTokenIssuer } from "../auth/tokens.ts";
import type { WatchedKeys } from "../auth/watched_keys.ts";
import {
  DRY_RUN_DONE,
  DRY_RUN_HEADER,
  isDryRunProof,
  isTimelyDryRun,
} from "../contract/dry_run.ts";
import { KEY_PATTERN } from "../contract/request_values.ts";
import { openSession } from "../db/session.ts";
import type { Write } from "../db/write.ts";
import { ApiError } from "../errors.ts";
import { type BodyLimits, maxCompressed } from "../http/body.ts";
import type { Effects, RequestState } from "../http/operation.ts";
import { targetOf } from "../http/paths.ts";
import type { Respond, Step } from "../http/request_pipeline.ts";
import type { DryRunOutcome, Metrics } from "../metrics.ts";
import { readBytes } from "../read_bytes.ts";
import { createRolledBackWrites, DRY_RUN_SESSIONS } from "./rolled_back_writes.ts";

/*
 * Dry runs: the gateway requests the service's response before the old server executes a request.
 * This folder is all of them: a step that app.ts adds to the request pipeline. Without the step the
 * header has no effect.
 */

/** The audience of the token in a dry run's response to a login. Nothing accepts such a token. */
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

/**
 * The step of dry runs: a request with a proof gets its response, with effects that store nothing.
 * Without a valid proof the response is 403, and so it is for an operation that needs its effect.
 * Disposing closes its connections.
 */
export function createDryRunStep(
  { secret, databaseUrl, keys, throttle, limits, metrics }: Deps,
) {
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

  const step: Step = (request, facts, next) =>
    // `has` would make a list of all headers first.
    request.headers.get(DRY_RUN_HEADER) === null
      ? next(request, facts)
      : dryRun(request, facts, next);
  return {
    step,
    [Symbol.dispose]: () => writes[Symbol.dispose](),
  };
}

/** A path or method that leads to no operation has no effect either. */
function canRunDry(operation: OperationId | undefined, method: string): boolean {
  return operation === undefined || method === "GET" || method === "HEAD" ||
    CAN_RUN_DRY.has(operation);
}

/** Effects that store nothing and lead to the same response. */
function effectsOfDryRun(write: Write, keys: WatchedKeys, throttle: LoginThrottle): Effects {
  const nothing = () => {};
  return {
    write,
    forgetTrace: () => Promise.resolve(),
    login: {
      consumeThrottle: throttle.peek,
      write,
      // The token expires at once.
      issueToken: createTokenIssuer(keys, 0, DRY_RUN_AUDIENCE),
      rehashes: false,
      noteLongPassword: nothing,
      onOutcome: nothing,
    },
    // The sender of dry runs guesses no passwords.
    holdsBack: false,
  };
}

const KEY_HEADER = "idempotency-key";

/**
 * Checks the proof that a request for a dry run comes from a holder of the secret, and returns the
 * request with an unread body. A repeated header is no proof.
 *
 * The returned request has no `Idempotency-Key`: its response is compared with that of a server
 * without keys. A malformed key stays, to be refused.
 *
 * @param secret undefined: all dry runs are refused
 * @throws {ApiError} 403 no proof, or not for this request or moment; 400, 408 the body didn't arrive
 */
async function provenDryRun(
  request: Request,
  secret: string | undefined,
  limits: BodyLimits,
): Promise<Request> {
  const proof = request.headers.get(DRY_RUN_HEADER) ?? "";
  // Without a possible proof the body isn't read.
  if (secret === undefined || !isTimelyDryRun(proof, Date.now())) throw unproven();
  const hash = createHash("sha256");
  // One byte more than is ever accepted: a body that is too large stays so.
  const max = maxCompressed(limits) + 1;
  const { bytes, size } = await readBytes(
    request,
    { max, deadlineMs: limits.deadlineMs },
    (chunk) => hash.update(chunk),
  );
  const { method, url } = request;
  const received = { method, target: targetOf(url), bodyHash: hash.digest("hex"), proof };
  if (!isDryRunProof(secret, received, Date.now())) throw unproven();
  const headers = new Headers(request.headers);
  if (KEY_PATTERN.test(headers.get(KEY_HEADER) ?? "")) headers.delete(KEY_HEADER);
  if (request.body === null) return new Request(url, { method, headers });
  return new Request(url, { method, headers, body: size > max ? new Uint8Array(max) : bytes });
}

function unproven(): ApiError {
  return new ApiError("dry_run_unproven", "This is no valid request for a dry run");
}
