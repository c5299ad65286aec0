import { Counter, Gauge, Registry } from "prom-client";
import { createRequestMetrics } from "./telemetry/request_metrics.ts";

const REFUSAL_REASONS = [
  "no_token",
  "bad_token",
  "role",
  "operator",
  "no_password",
  "long_password",
] as const;

/**
 * Why `AUTH_MODE=required` refuses a request, or would: no token; an invalid or revoked token; a role
 * without the right; a write in another person's name; a login without a password, or with one of
 * more bytes than bcrypt reads.
 */
export type RefusalReason = typeof REFUSAL_REASONS[number];

/** Whether a text, such as an error code, is a refusal reason. */
export function isRefusalReason(text: string): text is RefusalReason {
  return REFUSAL_REASONS.some((reason) => reason === text);
}

/**
 * Why a token is refused. For log and metrics only: clients get one sentence for all faults.
 *
 * Form and origin: `malformed`, `type`, `algorithm`, `unknown_key`, `signature`, `issuer`, `audience`
 * (also a token of `AUTH_MODE=legacy`), `claims` (missing or malformed). Time, by this process's
 * clock: `expired`, `not_yet_valid`. State: `logged_out`, `ended` (the account got a new password or
 * role, or was disabled for a while), `disabled`, `no_account`, `other_role` (the account has another
 * role than the token).
 */
export type TokenFault =
  | "malformed"
  | "type"
  | "algorithm"
  | "unknown_key"
  | "signature"
  | "issuer"
  | "audience"
  | "claims"
  | "expired"
  | "not_yet_valid"
  | "logged_out"
  | "ended"
  | "disabled"
  | "no_account"
  | "other_role";

/**
 * The outcome of a login in `AUTH_MODE=required`. `too_long`: the password has more bytes than bcrypt
 * reads; `changed`: the account changed during the login.
 */
export type LoginOutcome =
  | "accepted"
  | "wrong"
  | "too_long"
  | "disabled"
  | "changed"
  | "throttled_account"
  | "throttled_address"
  | "queue_full";

/**
 * The outcome of a read of the trace cache. `stale_refused`: the entry was unreliable; `bypassed`: no
 * relay confirms that the cache is up to date, or Valkey is unavailable.
 */
export type CacheOutcome = "hit" | "miss" | "stale_refused" | "bypassed";

/**
 * The outcome of a dry run. `failed`: 5xx; `unproven`: its proof was refused or could not be checked;
 * `impossible`: its operation always has an effect.
 */
export type DryRunOutcome = "done" | "failed" | "unproven" | "impossible";

/** A replica as metrics see it. */
interface ReplicaState {
  readonly problem: string | undefined;
  /** Undefined: it isn't known. */
  readonly lag: { readonly bytes: number; readonly ms: number } | undefined;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name: `lotline_${name}_total`, help, labelNames, registers: [registry] });
  const byReason: ("operation" | "reason")[] = ["operation", "reason"];
  const refused = counter("refused", "Requests that AUTH_MODE=required refused.", byReason);
  const wouldRefuse = counter(
    "required_would_refuse",
    "Requests that AUTH_MODE=legacy let through and AUTH_MODE=required would refuse.",
    byReason,
  );
  const badTokens = counter(
    "bad_tokens",
    "Tokens that AUTH_MODE=required refused, or would refuse, by what is wrong with them.",
    byReason,
  );
  const logins = counter("logins", "Logins in AUTH_MODE=required by outcome.", ["outcome"]);
  const dryRuns = counter("dry_runs", "Requests for a dry run by outcome.", [
    "operation",
    "outcome",
  ]);
  const cacheReads = counter("trace_cache_reads", "Reads of the trace cache by outcome.", [
    "outcome",
  ]);
  const cacheStores = counter("trace_cache_stores", "Responses offered to the trace cache.", [
    "outcome",
  ]);
  const deprecated = counter("deprecated_requests", "Requests to a deprecated operation.", [
    "operation",
  ]);
  return {
    /** What `/metrics` of the API doesn't show. */
    requests: createRequestMetrics(),
    deprecated: (operation: string) => deprecated.inc({ operation }),
    refused: (operation: string, reason: RefusalReason) => refused.inc({ operation, reason }),
    requiredWouldRefuse: (operation: string, reason: RefusalReason) =>
      wouldRefuse.inc({ operation, reason }),
    badToken: (operation: string, reason: TokenFault) => badTokens.inc({ operation, reason }),
    login: (outcome: LoginOutcome) => logins.inc({ outcome }),
    /** @param operation `unknown` when no operation has this path and method */
    dryRun: (operation: string, outcome: DryRunOutcome) => dryRuns.inc({ operation, outcome }),
    cacheRead: (outcome: CacheOutcome) => cacheReads.inc({ outcome }),
    /** `stale_refused`: the lot has changed since its response was read. */
    cacheStored: (outcome: "stored" | "stale_refused") => cacheStores.inc({ outcome }),
    /**
     * Adds what tells of a replica, as it is when the metrics are read. Returns a function that counts
     * where deep traces are read that are taken while their clients wait.
     */
    ofReplica(replica: ReplicaState) {
      const gauge = (name: string, help: string, value: () => number | undefined) =>
        new Gauge({
          name: `lotline_replica_${name}`,
          help,
          registers: [registry],
          collect() {
            const now = value();
            if (now === undefined) this.remove();
            else this.set(now);
          },
        });
      gauge(
        "usable",
        "1 when deep traces are read on the replica.",
        () => replica.problem === undefined ? 1 : 0,
      );
      gauge(
        "lag_seconds",
        "How far the replica is behind the primary.",
        () => replica.lag && replica.lag.ms / 1_000,
      );
      gauge("lag_bytes", "WAL that the replica does not show yet.", () => replica.lag?.bytes);
      const reads = counter("replica_reads", "Deep traces by the server that was read.", ["from"]);
      return (from: "replica" | "primary") => reads.inc({ from });
    },
    /** All counters in Prometheus' text format. */
    text: () => registry.metrics(),
    type: registry.contentType,
  };
}
