import { z } from "zod";
import { constraintOf } from "../../db/pg_errors.ts";
import { timed } from "../../db/query_deadline.ts";
import type { Sql, Statement } from "../../db/sql.ts";
import { LEGACY_OPERATIONS, type LegacyOperation } from "../exchange/operations.ts";
import type { CarriedPlan } from "../routes/routes_table.ts";
import { type Note, RouteRefusedError, storableReason, storableText } from "../routes/routing.ts";
import { parseSteps, PLAN_ORDER, type PlanOptions, type Remedy, stepsText } from "./plan.ts";

/*
 * `lotline.plans`. One process carries out a plan at a time: it holds a lease that it renews with each
 * look, and that ends by the database's clock. Each change of a running plan is made by its holder
 * alone, so that a process which has lost the lease without noticing changes nothing.
 */

/** How long a process keeps a plan without renewing its lease. */
const LEASE = "15 seconds";
/** More than can run at once: no two of them share one of the five operations. */
const MAX_RUNNING = 5;
const MAX_LISTED = 10;

const PlanRow = z.object({
  id: z.string(),
  operations: z.array(z.enum(LEGACY_OPERATIONS)).min(1),
  steps: z.string().transform((text) => parseSteps(text) ?? []),
  soakMs: z.coerce.number(),
  samples: z.int(),
  patienceMs: z.coerce.number(),
  force: z.boolean(),
  detached: z.boolean(),
  who: z.string(),
  why: z.string(),
  created_at: z.string(),
  position: z.int(),
  epoch: z.int().nullable(),
  /** How long it has been in this epoch, in ms. */
  waitedMs: z.number(),
  progress: z.string().nullable(),
  /** Whether a process carries it out. */
  held: z.boolean(),
  ended_at: z.string().nullable(),
  outcome: z.enum(["done", "stopped"]).nullable(),
  end_why: z.string().nullable(),
  remedy: z.enum(["clear", "release"]).nullable(),
});

/** A plan as it is stored. Times are UTC text. */
export type StoredPlan = Readonly<z.output<typeof PlanRow>>;

const PLAN_COLUMNS = (sql: Sql) =>
  sql`id, to_jsonb(operations) as operations, steps, soak_ms as "soakMs", samples, patience_ms as "patienceMs",
    forced as force, detached, who, why, created_at, position, epoch,
    extract(epoch from now() - since)::float8 * 1000 as "waitedMs", progress,
    coalesce(lease_until > now(), false) as held, ended_at, outcome, end_why, remedy`;

/** The operation that a plan moves now, or moved last. */
export function operationOf({ operations, position }: StoredPlan): LegacyOperation {
  const operation = operations[Math.min(position, operations.length) - 1] ?? operations[0];
  if (operation === undefined) throw new Error("a plan without an operation");
  return operation;
}

const listLiteral = (operations: readonly string[]) => `{${operations.join(",")}}`;

/**
 * Stores a plan that begins now, and returns its id.
 *
 * @param holder the process that carries it out; undefined: a gateway will
 * @throws {RouteRefusedError} when another plan moves one of its routes
 */
export async function insertPlan(
  sql: Sql,
  { operations, options, note, holder }: {
    readonly operations: readonly LegacyOperation[];
    readonly options: PlanOptions;
    readonly note: Note;
    readonly holder?: string;
  },
): Promise<string> {
  await endLostPlans(sql, operations);
  const places = operations.map((operation) => PLAN_ORDER.indexOf(operation));
  const { steps, soakMs, samples, patienceMs, force = false } = options;
  try {
    const [row] = await timed(sql)<{ id: string }[]>`
      insert into lotline.plans (
        operations, places, steps, soak_ms, samples, patience_ms, forced, detached, who, why,
        holder, lease_until
      )
      values (
        ${listLiteral(operations)}::text[],
        int4range(${Math.min(...places)}::int, ${Math.max(...places)}::int, '[]'),
        ${stepsText(steps)}, ${Math.round(soakMs)}::bigint, ${samples}::int,
        ${Math.round(patienceMs)}::bigint, ${force}::bool, ${holder === undefined}::bool,
        ${note.who}, ${note.why}, ${holder ?? null}::uuid,
        case when ${holder !== undefined}::bool then now() + ${LEASE}::interval end
      )
      returning id`;
    if (row === undefined) throw new Error("the plan was not stored");
    return row.id;
  } catch (error) {
    if (constraintOf(error) !== "plans_one_for_a_route") throw error;
    const [other] = await listRunningPlans(sql, operations);
    throw new RouteRefusedError(
      other === undefined
        ? "Another plan moved one of these routes until now: try again"
        : `Plan ${other.id} of ${other.who} moves ${
          other.operations.join(", ")
        } already. Stop it ` +
          `first: deno task cutover plan ${operationOf(other)} --stop --why TEXT`,
    );
  }
}

/** Ends plans of these operations whose terminal was closed or killed. */
async function endLostPlans(sql: Sql, operations: readonly LegacyOperation[]): Promise<void> {
  await timed(sql)`
    update lotline.plans set ended_at = now(), outcome = 'stopped', end_why = ${LOST}
    where ended_at is null and not detached and lease_until < now()
      and operations && ${listLiteral(operations)}::text[]`;
}

const LOST = "its terminal was closed or killed";

/** The plans for gateways that this process holds from now on; others have no lease that lasts. */
export async function claimPlans(sql: Sql, holder: string): Promise<StoredPlan[]> {
  return await claim(
    sql,
    holder,
    sql`detached and (holder is null or holder = ${holder}::uuid or lease_until < now())`,
  );
}

/** Renews the lease of a terminal's plan. Undefined: the plan has ended. */
export async function renewPlan(
  sql: Sql,
  { id, holder }: CarriedPlan,
): Promise<StoredPlan | undefined> {
  const [plan] = await claim(sql, holder, sql`id = ${id}::bigint and holder = ${holder}::uuid`);
  return plan;
}

async function claim(sql: Sql, holder: string, which: Statement): Promise<StoredPlan[]> {
  const rows = await timed(sql)`
    update lotline.plans set holder = ${holder}::uuid, lease_until = now() + ${LEASE}::interval
    where id = any (array(
      select id from lotline.plans where ended_at is null and ${which}
      order by id limit ${MAX_RUNNING} for update skip locked
    ))
    returning ${PLAN_COLUMNS(sql)}`;
  return rows.map((row) => PlanRow.parse(row));
}

/** Gives back the plans that a process holds, so that another one needn't wait for its leases. */
export async function releasePlans(sql: Sql, holder: string): Promise<void> {
  await timed(sql)`
    update lotline.plans set lease_until = now()
    where holder = ${holder}::uuid and ended_at is null`;
}

/**
 * Notes how far a plan is. False: this process doesn't hold it any more.
 *
 * @param at the operation that it moves, and the epoch that it has found; undefined: unchanged
 */
export async function notePlan(
  sql: Sql,
  { id, holder }: CarriedPlan,
  { progress, at }: {
    readonly progress: string;
    readonly at?: { readonly position: number; readonly epoch: number | null };
  },
): Promise<boolean> {
  const { count } = await timed(sql)`
    update lotline.plans set progress = ${progressText(progress)},
      position = coalesce(${at?.position ?? null}::int, position),
      epoch = case when ${at !== undefined}::bool then ${at?.epoch ?? null}::int else epoch end,
      since = case when ${at !== undefined}::bool then now() else since end
    where id = ${id}::bigint and holder = ${holder}::uuid and ended_at is null`;
  return count > 0;
}

/** Ends a plan. False: this process doesn't hold it any more, or it had ended. */
export async function endPlan(
  sql: Sql,
  { id, holder }: CarriedPlan,
  { outcome, why, first }: {
    readonly outcome: "done" | "stopped";
    readonly why?: string;
    readonly first?: Remedy;
  },
): Promise<boolean> {
  const { count } = await timed(sql)`
    update lotline.plans set ended_at = now(), outcome = ${outcome},
      end_why = ${why === undefined ? null : progressText(why)}, remedy = ${first ?? null}
    where id = ${id}::bigint and holder = ${holder}::uuid and ended_at is null`;
  return count > 0;
}

/** Stops the running plans of these operations, in any process, and returns them. */
export async function stopPlans(
  sql: Sql,
  operations: readonly LegacyOperation[],
  { who, why }: Note,
): Promise<StoredPlan[]> {
  const rows = await timed(sql)`
    update lotline.plans set ended_at = now(), outcome = 'stopped',
      end_why = ${storableReason(`stopped by ${who}: ${why}`)}
    where ended_at is null and operations && ${listLiteral(operations)}::text[]
    returning ${PLAN_COLUMNS(sql)}`;
  return rows.map((row) => PlanRow.parse(row));
}

export async function findPlan(sql: Sql, id: string): Promise<StoredPlan | undefined> {
  const [row] = await timed(sql)`
    select ${PLAN_COLUMNS(sql)} from lotline.plans where id = ${id}::bigint`;
  return row && PlanRow.parse(row);
}

/** The running plans that move at least one of these operations. */
export async function listRunningPlans(
  sql: Sql,
  operations: readonly string[],
): Promise<StoredPlan[]> {
  const rows = await timed(sql)`
    select ${PLAN_COLUMNS(sql)} from lotline.plans
    where ended_at is null and operations && ${listLiteral(operations)}::text[] order by id`;
  return rows.map((row) => PlanRow.parse(row));
}

/** The same plans, and those that have stopped within some seconds, as they do after a change. */
export async function listStoppingPlans(
  sql: Sql,
  operations: readonly string[],
): Promise<StoredPlan[]> {
  const rows = await timed(sql)`
    select ${PLAN_COLUMNS(sql)} from lotline.plans
    where (
        ended_at is null
        or (outcome = 'stopped' and end_why not like 'stopped by %'
          and ended_at > now() - interval '5 seconds')
      )
      and operations && ${listLiteral(operations)}::text[]
    order by id`;
  return rows.map((row) => PlanRow.parse(row));
}

/** The running plans, and the latest of those that ended within a day; the newest first. */
export async function listPlans(sql: Sql): Promise<StoredPlan[]> {
  const rows = await timed(sql)`
    select ${PLAN_COLUMNS(sql)} from lotline.plans
    where ended_at is null or ended_at > now() - interval '1 day'
    order by ended_at is not null, id desc limit ${MAX_LISTED}`;
  return rows.map((row) => PlanRow.parse(row));
}

const MAX_PROGRESS_CHARACTERS = 2_000;

const progressText = (text: string) => storableText(text, MAX_PROGRESS_CHARACTERS);
