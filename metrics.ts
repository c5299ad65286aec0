import { Counter, Registry } from "prom-client";

/**
 * Why a request is refused in `AUTH_MODE=required`, or would be: no token; one that isn't valid (any
 * more); a role that may not do this; a write in the name of another; a login without a password, or
 * with one of more bytes than bcrypt reads.
 */
export type RefusalReason =
  | "no_token"
  | "bad_token"
  | "role"
  | "operator"
  | "no_password"
  | "long_password";

const REASONS: readonly string[] = [
  "no_token",
  "bad_token",
  "role",
  "operator",
  "no_password",
  "long_password",
] satisfies RefusalReason[];

/** Whether a word, an error's code for example, is such a reason. */
export function isRefusalReason(word: string): word is RefusalReason {
  return REASONS.includes(word);
}

/**
 * Why a token is no good. For the log and the metrics only: a client is told one sentence for all.
 *
 * Its form and origin: `malformed`, `type`, `algorithm`, `unknown_key`, `signature`, `issuer`,
 * `audience` (a token of `AUTH_MODE=legacy` too), `claims` (one is missing, or of another form). Its
 * time, by this process's clock: `expired`, `not_yet_valid`. Since then: `logged_out`, `ended` (the
 * account got a new password or role, or was disabled for a while), `disabled`, `no_account`,
 * `other_role` (the account's role isn't the token's).
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
 * What became of a login in `AUTH_MODE=required`. `too_long`: its password has more bytes than bcrypt
 * reads; `changed`: its account did, meanwhile.
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
 * What became of a look into the trace cache. `stale_refused`: something was kept, and couldn't be
 * relied on; `bypassed`: no relay says that the cache is up to date, or Valkey is away.
 */
export type CacheOutcome = "hit" | "miss" | "stale_refused" | "bypassed";

/**
 * What became of a request for a dry run. `failed`: 5xx; `unproven`: its proof was refused, or couldn't
 * be looked at; `impossible`: its operation can't be run without an effect.
 */
export type DryRunOutcome = "done" | "failed" | "unproven" | "impossible";

/** What this process has counted since its start. */
export interface Metrics {
  /** A request that `AUTH_MODE=required` refused. */
  refused(operation: string, reason: RefusalReason): void;
  /** A request that `AUTH_MODE=legacy` let through and `AUTH_MODE=required` would have refused. */
  requiredWouldRefuse(operation: string, reason: RefusalReason): void;
  /** A token that `AUTH_MODE=required` refused or, in `AUTH_MODE=legacy`, would have refused. */
  badToken(operation: string, reason: TokenFault): void;
  login(outcome: LoginOutcome): void;
  /** @param operation `unknown` where the path or method is none of ours */
  dryRun(operation: string, outcome: DryRunOutcome): void;
  cacheRead(outcome: CacheOutcome): void;
  /** `stale_refused`: the lot has changed since its answer was read. */
  cacheStored(outcome: "stored" | "stale_refused"): void;
  /** All of it in Prometheus' text format. */
  text(): Promise<string>;
  /** The media type of {@link Metrics.text}. */
  readonly type: string;
}

/** Counters that start at nothing. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const refused = new Counter({
    name: "lotline_refused_total",
    help: "Requests that AUTH_MODE=required refused.",
    labelNames: ["operation", "reason"],
    registers: [registry],
  });
  const wouldRefuse = new Counter({
    name: "lotline_required_would_refuse_total",
    help: "Requests that AUTH_MODE=legacy let through and AUTH_MODE=required would refuse.",
    labelNames: ["operation", "reason"],
    registers: [registry],
  });
  const badTokens = new Counter({
    name: "lotline_bad_tokens_total",
    help: "Tokens that AUTH_MODE=required refused, or would refuse, by what is wrong with them.",
    labelNames: ["operation", "reason"],
    registers: [registry],
  });
  const logins = new Counter({
    name: "lotline_logins_total",
    help: "Logins in AUTH_MODE=required by what became of them.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const dryRuns = new Counter({
    name: "lotline_dry_runs_total",
    help: "Requests for a dry run by what became of them.",
    labelNames: ["operation", "outcome"],
    registers: [registry],
  });
  const cacheReads = new Counter({
    name: "lotline_trace_cache_reads_total",
    help: "Looks into the trace cache by what became of them.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const cacheStores = new Counter({
    name: "lotline_trace_cache_stores_total",
    help: "Answers offered to the trace cache by what became of them.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  return {
    refused: (operation, reason) => refused.inc({ operation, reason }),
    requiredWouldRefuse: (operation, reason) => wouldRefuse.inc({ operation, reason }),
    badToken: (operation, reason) => badTokens.inc({ operation, reason }),
    login: (outcome) => logins.inc({ outcome }),
    dryRun: (operation, outcome) => dryRuns.inc({ operation, outcome }),
    cacheRead: (outcome) => cacheReads.inc({ outcome }),
    cacheStored: (outcome) => cacheStores.inc({ outcome }),
    text: () => registry.metrics(),
    type: registry.contentType,
  };
}
