import type { AuthMode } from "../auth/guard.ts";
import type { Revocations } from "../auth/revocations.ts";
import type { SignIn } from "../auth/sign_in.ts";
import type { WatchedKeys } from "../auth/watched_keys.ts";
import type { TraceCache } from "../cache/trace_cache.ts";
import type { Valkey } from "../cache/valkey.ts";
import type { Replica } from "../db/replica.ts";
import type { Sql } from "../db/sql.ts";
import type { TimeZone } from "../db/time_zone.ts";
import type { DatabaseWatch } from "../db/watch_database.ts";
import type { BodyLimits } from "../http/body.ts";
import type { InlineTracer } from "../lineage/inline.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { LargeTraces } from "./large_traces.ts";

/** All that routes depend on; each route picks what it uses. */
export interface RouteDeps {
  readonly mode: AuthMode;
  readonly sql: Sql;
  /** Of times without an offset. */
  readonly timeZone: Pick<TimeZone, "name" | "rules">;
  readonly database: DatabaseWatch;
  readonly replica?: Replica | undefined;
  readonly valkey?: Valkey | undefined;
  readonly traceCache?: TraceCache | undefined;
  readonly inlineTracer: InlineTracer;
  readonly largeTraces: LargeTraces;
  readonly keys: WatchedKeys;
  readonly signIn: SignIn;
  readonly revocations: Revocations;
  readonly metrics: Metrics;
  readonly limits: BodyLimits;
  readonly log: Log;
  /** Aborted when the process is about to end. */
  readonly stopping: AbortSignal;
}
