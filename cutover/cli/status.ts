import type { Sql } from "../../db/sql.ts";
import { columns, printable } from "../../terminal.ts";
import { coverageOf, describeCauses } from "../evidence/coverage.ts";
import { routingJson } from "../admin/route_json.ts";
import { describeShare, isCounted, type MovedShare } from "../routes/moved_share.ts";
import { isLegacyOperation, type Operation } from "../exchange/operations.ts";
import { describeMode, type Routing, type StoredRoute } from "../routes/routing.ts";
import { type EpochCounts, listEpochCounts } from "../evidence/epoch_counts.ts";
import { listSeenClients } from "../routes/route_clients.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { isGatewayRunning } from "../evidence/gateway_runs.ts";
import { readVerdicts } from "../rollout/verdicts.ts";
import type { Command } from "./command.ts";
import { showPlans } from "./plan_lines.ts";
import { whyLines } from "./verdicts.ts";

export const status: Command = {
  usage: "",
  does: "shows all routes",
  async run({ sql }) {
    const routing = await readRoutes(sql);
    const counts = await listEpochCounts(sql);
    const coverage = Object.fromEntries(counts.map((one) => [one.operation, coverageOf(one)]));
    const shares = await sharesOf(sql, routing);
    const { verdicts } = await readVerdicts(sql);
    const why = routing.killed === undefined ? whyLines(verdicts) : [];
    const gateway = await gatewayLine(sql);
    const { routes, ...rest } = routingJson(routing);
    const plans = await showPlans(sql);
    return {
      text: [statusTable(routing, counts, shares), ...plans.lines, ...gateway, ...why].join("\n"),
      json: {
        ...rest,
        routes: routes.map((route) => ({
          ...route,
          mode_in_effect: routing.killed === undefined ? route.mode : "legacy",
          moved: shares.get(route.operation) ?? null,
        })),
        coverage,
        plans: plans.json,
        isGatewayRunning: gateway.length === 0,
        hindrances: Object.fromEntries(
          verdicts.map(({ operation, hindrances = [] }) => [operation, hindrances]),
        ),
      },
    };
  },
};

/** The share that Lotline served of each route in shadow or canary, since its mode was set. */
async function sharesOf(sql: Sql, { routes }: Routing): Promise<Map<Operation, MovedShare>> {
  const seen = await listSeenClients(sql);
  const ofNow = seen.filter(({ operation, epoch }) => {
    const route = routes.get(operation);
    return route?.epoch === epoch && isCounted(route.mode);
  });
  return new Map(ofNow.map(({ operation, share }) => [operation, share]));
}

/** A sentence while no gateway runs on this database. */
async function gatewayLine(sql: Sql): Promise<string[]> {
  if (await isGatewayRunning(sql)) return [];
  return [
    "No gateway has run on this database for over a minute, so that nothing counts. To do: start " +
    "one with deno task gateway, on the same DATABASE_URL",
  ];
}

function statusTable(
  { routes, killed, broken }: Routing,
  counts: readonly EpochCounts[],
  shares: ReadonlyMap<Operation, MovedShare>,
): string {
  const table = columns(
    ["operation", "mode", "compared", "lost", "epoch", "changed", "held since its rollback"],
    [...routes.values()].map((route) => [
      route.operation,
      broken.includes(route.operation)
        ? "legacy (its row can't be read)"
        : modeText(route, killed !== undefined),
      isLegacyOperation(route.operation) ? `${route.samplePercent} %` : "never",
      lostText(counts.find(({ operation }) => operation === route.operation)),
      String(route.epoch),
      route.changedAt ?? "never",
      route.latch ?? "",
    ]),
  );
  const moved = [...routes.values()].flatMap(({ operation, mode }) => {
    const share = shares.get(operation);
    if (mode.name !== "canary" || share === undefined) return [];
    return [`${operation}: since ${describeMode(mode)}, ${describeShare(share)}`];
  });
  const shown = [table, ...moved].join("\n");
  if (killed === undefined) return shown;
  const { who, why } = killed;
  return `The kill switch is on: all routes are on legacy until it is released. ` +
    `${printable(who)}: ${printable(why)}\n${shown}`;
}

/** The mode in effect. The line of an operation that only Lotline has says so. */
function modeText({ operation, mode }: StoredRoute, isKilled: boolean): string {
  if (isKilled && mode.name !== "legacy") {
    return `legacy (killed; ${describeMode(mode)} after the release)`;
  }
  if (isLegacyOperation(operation)) return describeMode(mode);
  return mode.name === "service"
    ? "service (only Lotline has it)"
    : `${mode.name} (404: only Lotline has it)`;
}

/** The lost comparisons of a route's epoch, and why; empty: none were due. */
function lostText(counts: EpochCounts | undefined): string {
  if (counts === undefined) return "";
  const { due, lost, lostPercent, lostBy } = coverageOf(counts);
  if (due === 0) return "";
  return lost === 0 ? "0 %" : `${lostPercent.toPrecision(2)} % (${describeCauses(lostBy)})`;
}
