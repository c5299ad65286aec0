import { columns, sentenceOf } from "../../terminal.ts";
import { RefusedError, UsageError } from "../../command_line.ts";
import { routeJson } from "../admin/route_json.ts";
import type { Mode } from "../exchange/route.ts";
import { canaryWarnings } from "../rollout/verdicts.ts";
import {
  listChanges,
  MAX_CHANGES,
  modeText,
  type RecordedChange,
} from "../routes/route_changes.ts";
import {
  type ChangedRoute,
  clearLatch,
  kill as killRoutes,
  readRoutes,
  release as releaseRoutes,
  returnToLegacy,
  setMode,
} from "../routes/routes_table.ts";
import { describeMode, modeOf, refusalOf, RouteRefusedError } from "../routes/routing.ts";
import {
  changeCommand,
  type Command,
  operationNamed,
  operationsNamed,
  wholeNumber,
} from "./command.ts";

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
      const refusal = refusalOf(route, mode, killed);
      if (refusal !== undefined) throw new RouteRefusedError(refusal);
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
    const changes = done.map(({ route, changed }) => {
      const warning = changed ? warnings.get(route.operation) : undefined;
      const note = warning === undefined ? "" : `\n  Warning: ${warning}`;
      return {
        json: { changed, warning, route: routeJson(route) },
        text: sentence({ route, changed }) + note,
      };
    });
    return {
      text: changes.map(({ text }) => text).join("\n"),
      json: changes.map(({ json }) => json),
    };
  },
});

export const sample = changeCommand({
  usage: "OPERATION PERCENT",
  does: "sets how many of 100 requests of a route are compared, 0 to 100",
  words: [2, 2],
  async run({ sql, note }, typed) {
    const operation = operationNamed(typed.words[0]);
    const percent = typed.words[1]?.replace(/%$/, "");
    const samplePercent = wholeNumber("The share that is compared", percent, [0, 100]);
    const { route, changed } = await setMode(sql, { operation, samplePercent, ...note });
    return {
      text: `${samplePercent} % of ${operation} are compared${changed ? "" : " already"}`,
      json: { changed, route: routeJson(route) },
    };
  },
});

export const rollback = changeCommand({
  usage: "OPERATION|all",
  does: "puts a route back on legacy from any mode; all: every route of the old server",
  words: [1, 1],
  async run({ sql, note }, typed) {
    const [name] = typed.words;
    const operations = operationsNamed(name);
    const moved = await returnToLegacy(sql, operations, note);
    return {
      text: moved.length === 0
        ? `${name === "all" ? "Every operation of the old server" : name} is on legacy already`
        : moved.map((operation) => `${operation} is on legacy`).join("\n"),
      json: { moved },
    };
  },
});

export const clear = changeCommand({
  usage: "OPERATION",
  does: "allows a route to move again after an automatic rollback; it stays on legacy",
  words: [1, 1],
  async run({ sql, note }, typed) {
    const operation = operationNamed(typed.words[0]);
    const changed = await clearLatch(sql, { operation, ...note });
    return {
      text: changed ? `${operation} can be moved again` : `${operation} is not held`,
      json: { changed },
    };
  },
});

const switchCommand = (does: string, change: typeof killRoutes, state: string, then: string) =>
  changeCommand({
    usage: "",
    does,
    async run({ sql, note }) {
      const changed = await change(sql, note);
      const text = `The kill switch is ${state}${
        changed ? `: within a second ${then}` : " already"
      }`;
      return { text, json: { changed } };
    },
  });

export const kill = switchCommand(
  "puts all routes on legacy at once, until release",
  killRoutes,
  "on",
  "all routes are on legacy",
);

export const release = switchCommand(
  "ends a kill: each route returns to the mode that status shows",
  releaseRoutes,
  "off",
  "each route returns to its mode",
);

export const history: Command = {
  usage: "[OPERATION] [--limit N] [--before ID]",
  does: `lists the changes of routes, the newest first; N is at most ${MAX_CHANGES}`,
  words: [0, 1],
  options: { limit: { type: "string" }, before: { type: "string" } },
  async run({ sql }, typed) {
    const { words: [name], options: { limit = "50", before } } = typed;
    const changes = await listChanges(sql, {
      operation: name === undefined ? undefined : operationNamed(name),
      before: before === undefined
        ? undefined
        : String(wholeNumber("--before", before, [1, 999_999_999])),
      limit: wholeNumber("--limit", limit, [1, MAX_CHANGES]),
    });
    return {
      text: changes.length === 0 ? "There are no such changes." : changeTable(changes),
      json: changes,
    };
  },
};

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

function changeTable(changes: readonly RecordedChange[]): string {
  return columns(
    ["id", "at", "what", "operation", "from", "to", "compared", "epoch", "who", "why"],
    changes.map((change) => [
      change.id,
      change.at,
      change.automatic ? `${change.what}, automatic` : change.what,
      change.operation ?? "all",
      modeText(change.from_mode, change.from_percent),
      modeText(change.to_mode, change.to_percent),
      change.from_sample === null ? "" : `${change.from_sample} to ${change.to_sample} %`,
      change.epoch === null ? "" : String(change.epoch),
      change.who,
      change.why,
    ]),
  );
}
