import { columns, printable } from "../../terminal.ts";
import { routingJson } from "../route_json.ts";
import { describeMode, type Routing } from "../routing.ts";
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
    return { text: statusTable(routing), json: routingJson(routing) };
  },
};

function statusTable({ routes, killed, broken }: Routing): string {
  const table = columns(
    ["operation", "mode", "compared", "epoch", "changed", "held since it was rolled back"],
    [...routes.values()].map((route) => [
      route.operation,
      broken.includes(route.operation)
        ? "legacy (its row can't be read)"
        : describeMode(route.mode),
      `${route.samplePercent} %`,
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
