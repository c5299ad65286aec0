import { describeError, limitRepeats, type Log } from "../log.ts";
import { delay, withDeadline } from "../timing.ts";
import { readSteps, type Series, type Step } from "./migrations.ts";
import { leaveServer } from "./pool.ts";
import { problem, problemOf } from "./problems.ts";
import { DEADLINE_MS, QueryDeadlineError } from "./query_deadline.ts";
import { findServerProblem } from "./readiness_checks.ts";
import { readSchemaState, type SchemaState } from "./schema_state.ts";
import type { Sql } from "./sql.ts";

/** The log's view of the database; readiness uses its reading of the schema. Disposing ends it. */
export interface DatabaseWatch extends Disposable {
  /** Whether the database lacked migrations when it was last read. */
  readonly isBehind: boolean;
  /**
   * The schema as it was last read.
   * @throws {QueryDeadlineError} when it wasn't read since the start, nor within `timeoutMs`
   */
  schema(timeoutMs: number): Promise<SchemaState>;
}

interface WatchOptions {
  readonly sql: Sql;
  /** The steps that the process needs. */
  readonly series: Series;
  readonly log: Log;
  readonly everyMs?: number;
}

/** The time between two looks, in ms; while something is wrong, the shorter one. */
const EVERY_MS = 2_000;
const RETRY_MS = 300;
/** A schema that is not behind is read again after this long, in ms. */
const SCHEMA_EVERY_MS = 30_000;
/** At most so many names of migrations in a line of the log. */
const MAX_NAMES = 5;
const MIGRATE = "deno task migrate";

/** Looks at the database until disposed, and logs what is wrong and when it is well again. */
export function watchDatabase(
  { sql, series, log, everyMs = EVERY_MS }: WatchOptions,
): DatabaseWatch {
  const end = new AbortController();
  const logLimited = limitRepeats(log);
  const first = Promise.withResolvers<SchemaState>();
  let schema: SchemaState | undefined;
  let schemaReadAt = -Infinity;
  let down: { readonly since: number; isLogged: boolean } | undefined;

  const onDown = (kind: string, error?: unknown) => {
    down ??= { since: performance.now(), isLogged: false };
    const fields = { problem: kind, error: error === undefined ? undefined : describeError(error) };
    down.isLogged = logLimited(kind, "warn", "database_down", fields) || down.isLogged;
  };
  const onUp = () => {
    if (down?.isLogged) {
      log("info", "database_up", { after_ms: Math.round(performance.now() - down.since) });
    }
    down = undefined;
  };
  const onSchema = (state: SchemaState) => {
    const was = schema;
    schema = state;
    first.resolve(state);
    const fields = { missing: namesOf(state), todo: MIGRATE };
    if (isBehind(state)) {
      logLimited(`${state.is} ${fields.missing}`, "warn", "schema_behind", fields);
    } else if (was?.is !== state.is) {
      if (state.is === "ahead") log("warn", "schema_ahead", { unknown: namesOf(state) });
      else if (state.is === "unreadable" || state.is === "forbidden") {
        log("warn", "schema_unreadable", { todo: problem("no_right").todo });
      } else if (was !== undefined) log("info", "schema_current");
    }
  };

  let steps: readonly Step[] | undefined;
  /** Returns how long to wait until the next look, in ms. */
  const look = async (): Promise<number> => {
    const unfit = await findServerProblem(sql, DEADLINE_MS);
    if (unfit === undefined) onUp();
    else onDown(unfit);
    if (unfit === "read_only") leaveServer(sql);
    const now = performance.now();
    if (isBehind(schema) || now - schemaReadAt > SCHEMA_EVERY_MS) {
      steps ??= await readSteps([series]);
      onSchema(await readSchemaState(sql, steps));
      schemaReadAt = now;
    }
    return down === undefined ? everyMs : RETRY_MS;
  };
  const follow = async () => {
    while (!end.signal.aborted) {
      let waitMs = RETRY_MS;
      try {
        waitMs = await look();
      } catch (error) {
        // Another database may be there afterwards.
        schemaReadAt = -Infinity;
        if (!end.signal.aborted) onDown(problemOf(error)?.kind ?? "unknown", error);
      }
      await delay(waitMs, end.signal);
    }
  };
  void follow();

  return {
    get isBehind() {
      return isBehind(schema);
    },
    async schema(timeoutMs) {
      if (schema !== undefined) return schema;
      return await withDeadline(first.promise, timeoutMs, () => {
        throw new QueryDeadlineError(`the schema was not read within ${timeoutMs} ms`);
      });
    },
    [Symbol.dispose]: () => end.abort(),
  };
}

const isBehind = (state: SchemaState | undefined) =>
  state?.is === "missing" || state?.is === "behind";

function namesOf(state: SchemaState): string {
  if (state.is === "missing") return "all";
  if (!("steps" in state)) return "";
  const more = state.steps.length - MAX_NAMES;
  const names = state.steps.slice(0, MAX_NAMES).join(" ");
  return more > 0 ? `${names} and ${more} more` : names;
}
