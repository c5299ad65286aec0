import type { Sql } from "../../db/sql.ts";
import { ClientSet } from "../routes/canary.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Mode, Upstream } from "../exchange/route.ts";
import { readRoutes, setMode } from "../routes/routes_table.ts";

/** Deletes all routes, plans and evidence. */
export async function clearHistory(sql: Sql): Promise<void> {
  await sql`truncate lotline.route_answers, lotline.route_outcomes, lotline.route_coverage,
    lotline.route_clients, lotline.differences,
    lotline.routes, lotline.route_changes, lotline.plans`;
}

/** Sets a route's mode; returns its epoch. */
export async function givenRoute(sql: Sql, operation: Operation, mode: Mode): Promise<number> {
  const { route } = await setMode(sql, { operation, mode, who: "tester", why: "a test" });
  return route.epoch;
}

/** The responses of an upstream, each after 10 ms. */
export interface Responses {
  readonly operation: Operation;
  readonly side: Upstream;
  readonly epoch: number;
  readonly requests: number;
  readonly errors?: number;
  readonly minutesAgo?: number;
}

/** Stores responses of an upstream. */
export async function givenResponses(
  sql: Sql,
  { operation, side: upstream, epoch, requests, errors = 0, minutesAgo = 0 }: Responses,
): Promise<void> {
  await sql`
    insert into lotline.route_answers as stored (
      operation, side, epoch, minute, requests, server_errors, silences, latencies
    )
    values (
      ${operation}, ${upstream}, ${epoch},
      date_trunc('minute', now() - ${minutesAgo}::int * interval '1 minute'),
      ${requests}, ${errors}, 0, ${sql.json({ "47": requests })}
    )
    on conflict (operation, side, epoch, minute) do update set
      requests = stored.requests + excluded.requests,
      server_errors = stored.server_errors + excluded.server_errors,
      latencies = lotline.add_counts(stored.latencies, excluded.latencies)`;
}

/** Stores requests of clients that an upstream has answered, of some buckets. */
export async function givenClients(
  sql: Sql,
  { operation, side: upstream, epoch, requests, buckets }: {
    readonly operation: Operation;
    readonly side: Upstream;
    readonly epoch: number;
    readonly requests: number;
    readonly buckets: readonly number[];
  },
): Promise<void> {
  const clients = new ClientSet();
  for (const bucket of buckets) clients.add(bucket);
  await sql`
    insert into lotline.route_clients as stored (operation, side, epoch, minute, requests, buckets)
    values (
      ${operation}, ${upstream}, ${epoch}, date_trunc('minute', now()), ${requests},
      ('x' || ${clients.toHex()}::text)::bit(10000)
    )
    on conflict (operation, side, epoch, minute) do update set
      requests = stored.requests + excluded.requests, buckets = stored.buckets | excluded.buckets`;
}

/** Stores outcomes of comparisons. */
export async function givenOutcomes(
  sql: Sql,
  { operation, epoch, outcome, count, approval = "", minutesAgo = 0 }: {
    readonly operation: Operation;
    readonly epoch: number;
    readonly outcome: string;
    readonly count: number;
    readonly approval?: string;
    readonly minutesAgo?: number;
  },
): Promise<void> {
  await sql`
    insert into lotline.route_outcomes as stored (operation, epoch, minute, outcome, approval, count)
    values (
      ${operation}, ${epoch},
      date_trunc('minute', now() - ${minutesAgo}::int * interval '1 minute'),
      ${outcome}, ${approval}, ${count}
    )
    on conflict (operation, epoch, minute, outcome, approval) do update set
      count = stored.count + excluded.count`;
}

/** Stores how far comparisons cover the exchanges. */
export async function givenCoverage(
  sql: Sql,
  { operation, epoch, what, count, minutesAgo = 0 }: {
    readonly operation: Operation;
    readonly epoch: number;
    readonly what: string;
    readonly count: number;
    readonly minutesAgo?: number;
  },
): Promise<void> {
  await sql`
    insert into lotline.route_coverage as stored (operation, epoch, minute, what, count)
    values (
      ${operation}, ${epoch},
      date_trunc('minute', now() - ${minutesAgo}::int * interval '1 minute'), ${what}, ${count}
    )
    on conflict (operation, epoch, minute, what) do update set
      count = stored.count + excluded.count`;
}

/**
 * Stores equal responses of both upstreams, enough for a `pass`. A canary passes too: it has 100
 * clients, and as many of them moved as its step says.
 */
export async function givenHealth(
  sql: Sql,
  { operation, epoch, requests = 300 }: {
    readonly operation: Operation;
    readonly epoch: number;
    readonly requests?: number;
  },
): Promise<void> {
  await givenResponses(sql, { operation, side: "legacy", epoch, requests });
  await givenResponses(sql, { operation, side: "service", epoch, requests });
  await givenOutcomes(sql, { operation, epoch, outcome: "same", count: requests });
  const mode = (await readRoutes(sql)).routes.get(operation)?.mode;
  const percent = mode?.name === "canary" ? mode.percent : mode?.name === "service" ? 100 : 0;
  const all = Array.from({ length: 100 }, (_, at) => at * 100);
  const moved = { service: all.slice(0, percent), legacy: all.slice(percent) };
  for (const upstream of ["service", "legacy"] as const) {
    const buckets = moved[upstream];
    const share = { requests: requests * buckets.length / 100, buckets };
    if (buckets.length > 0) await givenClients(sql, { operation, side: upstream, epoch, ...share });
  }
  await givenCoverage(sql, { operation, epoch, what: "success", count: requests });
}
