import { sentenceOf } from "../../terminal.ts";
import { canaryWarnings } from "../rollout/canary_warning.ts";
import type { Mode } from "../exchange/route.ts";
import { routeJson } from "../admin/route_json.ts";
import { refusalOf } from "../routes/route_rules.ts";
import { describeMode, modeOf } from "../routes/routing.ts";
import { type ChangedRoute, readRoutes, setMode } from "../routes/routes_table.ts";
import { RefusedError, UsageError } from "../../command_line.ts";
import { changeCommand, operationsNamed, wholeNumber } from "./command.ts";

export const set = changeCommand({
  usage: "OPERATION|all MODE [PERCENT]",
  does:
    "sets the mode of a route, or of all routes of the old server: legacy, shadow, canary 1 to " +
    "99, service. A route that only Lotline has is on service or legacy",
  words: [2, 3],
  async run({ sql, note }, typed) {
    const [name, modeName = "", percent] = typed.words;
    const mode = typedMode(modeName, percent);
    const operations = operationsNamed(name);

    // All of them move, or none.
    const { routes, killed } = await readRoutes(sql);
    const standing = operations.flatMap((operation) => routes.get(operation) ?? []);
    for (const route of standing) {
      const refusal = refusalOf({ route, killed }, mode);
      if (refusal !== undefined) throw refusal;
    }
    const warnings = await canaryWarnings(sql, operations, mode);
    const done: ChangedRoute[] = [];
    for (const { operation, epoch } of standing) {
      try {
        done.push(await setMode(sql, { operation, mode, expectedEpoch: epoch, ...note }));
      } catch (error) {
        if (done.length === 0) throw error;
        throw new RefusedError(`${done.map(sentence).join("\n")}\nThen: ${sentenceOf(error)}`);
      }
    }
    const changes = done.map(({ route, changed }) => ({
      changed,
      route,
      warning: changed ? warnings.get(route.operation) : undefined,
    }));
    return {
      text: changes.map((change) =>
        change.warning === undefined
          ? sentence(change)
          : `${sentence(change)}\n  Warning: ${change.warning}`
      ).join("\n"),
      json: changes.map(({ route, ...change }) => ({ ...change, route: routeJson(route) })),
    };
  },
});

function typedMode(name: string, percent: string | undefined): Mode {
  if (name === "canary") {
    const share = percent?.replace(/%$/, "");
    return { name, percent: wholeNumber("The share of a canary", share, [1, 99]) };
  }
  if (percent !== undefined) throw new UsageError("Only canary has a share");
  const mode = modeOf(name, undefined);
  if (mode === undefined) throw new UsageError("A mode is one of legacy shadow canary service");
  return mode;
}

function sentence({ route: { operation, mode, epoch }, changed }: ChangedRoute): string {
  return changed
    ? `${operation} is on ${describeMode(mode)}, epoch ${epoch}`
    : `${operation} is on ${describeMode(mode)} already`;
}
