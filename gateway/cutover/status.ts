import { columns, printable } from "../../terminal.ts";
import { coverageOf, describeCauses } from "../coverage.ts";
import { routingJson } from "../route_json.ts";
import { describeMode, type Routing } from "../routing.ts";
import { type EpochCounts, listEpochCounts } from "../store/evidence_totals.ts";
import { readRoutes } from "../store/routes.ts";
import { type Command, mustBeWords } from "./command.ts";

/** `deno task cutover status` */
export const status: Command = {
  usage: "",
  does: "all routes as they are now",
  options: {},
  async run({ sql }, typed) {
    mustBeWords(typed, 0);
    const routing = await readRoutes(sql);
    const counts = await listEpochCounts(sql);
    const coverage = Object.fromEntries(counts.map((one) => [one.operation, coverageOf(one)]));
    return { text: statusTable(routing, counts), json: { ...routingJson(routing), coverage } };
  },
};

function statusTable(
  { routes, killed, broken }: Routing,
  counts: readonly EpochCounts[],
): string {
  const table = columns(
    ["operation", "mode", "compared", "lost", "epoch", "changed", "held since it was rolled back"],
    [...routes.values()].map((route) => [
      route.operation,
      broken.includes(route.operation)
        ? "legacy (its row can't be read)"
        : describeMode(route.mode),
      `${route.samplePercent} %`,
      lostText(counts.find(({ operation }) => operation === route.operation)),
      String(route.epoch),
      route.changedAt ?? "never",
      route.latch ?? "",
    ]),
  );
  if (killed === undefined) return table;
  const { who, why } = killed;
  return `The kill switch is on: all routes are on legacy until it is released. ` +
    `${printable(who)}: ${printable(why)}\n${table}`;
}

/** What was lost of the comparisons of a route's epoch, and why; empty: nothing was to be compared. */
function lostText(counts: EpochCounts | undefined): string {
  if (counts === undefined) return "";
  const { due, lost, lostPercent, lostBy } = coverageOf(counts);
  if (due === 0) return "";
  return lost === 0 ? "0 %" : `${lostPercent.toPrecision(2)} % (${describeCauses(lostBy)})`;
}
