import type { Sql } from "../../db/sql.ts";
import { columns, sentenceOf } from "../../terminal.ts";
import { RefusedError, UsageError } from "../../command_line.ts";
import { routeJson } from "../admin/route_json.ts";
import type { Mode } from "../exchange/route.ts";
import { isLegacyOperation, LEGACY_OPERATIONS } from "../exchange/operations.ts";
import { risksOf, uncompared } from "../rollout/risks.ts";
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
  rollBackByHand,
  setMode,
} from "../routes/routes_table.ts";
import {
  describeMode,
  modeOf,
  type Note,
  refusalOf,
  RouteRefusedError,
  type StoredRoute,
} from "../routes/routing.ts";
import {
  changeCommand,
  type Command,
  operationNamed,
  operationsNamed,
  wholeNumber,
} from "./command.ts";
import { FORCE_OPTION, requireConsent } from "./consent.ts";
import { plansAfter } from "./plan_lines.ts";

export const set = changeCommand({
  usage: "OPERATION|all MODE [PERCENT] [--force]",
  does:
    "sets the mode of a route, or of all routes of the old server: legacy, shadow, canary 1 to " +
    "99, service. A route that only Lotline has is on service or legacy. A greater share for " +
    "Lotline without the verdict pass needs a confirmation, or --force",
  words: [2, 3],
  options: FORCE_OPTION,
  async run(deps, typed) {
    const { sql, note } = deps;
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
    if (typed.options.force !== true) {
      requireConsent(deps, await risksOf(sql, operations, mode), "Set it anyway?");
    }
    const warnings = await canaryWarnings(sql, operations, mode);
    const done = await moveRoutes(sql, standing, mode, note);
    const changes = done.map(({ route, changed }) => {
      const warning = changed ? warnings.get(route.operation) : undefined;
      const notes = changed
        ? [uncompared(route.operation, mode), warning && `Warning: ${warning}`]
        : [];
      return {
        json: { changed, warning, route: routeJson(route) },
        text: [sentence({ route, changed }), ...notes.filter((one) => one !== undefined)]
          .join("\n  "),
      };
    });
    const moved = done.filter(({ changed }) => changed).map(({ route }) => route.operation);
    const plans = moved.length === 0 ? [] : await plansAfter(sql, moved, { held: false });
    return {
      text: [...changes.map(({ text }) => text), ...plans].join("\n"),
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
  does:
    "puts a route back on legacy from any mode, and holds it there until clear; all: every route " +
    "of the old server",
  words: [1, 1],
  async run({ sql, note }, typed) {
    const operations = operationsNamed(typed.words[0]);
    const held = await rollBackByHand(sql, operations, note);
    const wasThere = operations.filter((one) => !held.some(({ operation }) => operation === one));
    const moved = held.filter(({ moved }) => moved).map(({ operation }) => operation);
    const plans = await plansAfter(sql, operations, { held: true });
    return {
      text: [
        ...held.map(({ operation, moved }) =>
          `${operation} is on legacy${moved ? "" : " already"}, and held there from now on`
        ),
        ...wasThere.map((operation) => `${operation} is on legacy and held there already`),
        ...moved.length > 0 ? [EVIDENCE_STAYS] : [],
        ...held.length > 0 ? [TO_CLEAR] : [],
        ...plans,
      ].join("\n"),
      json: { moved, held: held.map(({ operation }) => operation) },
    };
  },
});

export const clear = changeCommand({
  usage: "OPERATION",
  does: "allows a route to move again after a rollback, automatic or by hand; it stays on legacy",
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

export const kill = changeCommand({
  usage: "",
  does: "puts all routes on legacy at once, until release",
  async run({ sql, note }) {
    const changed = await killRoutes(sql, note);
    const text = [
      "The kill switch is on: within a second all routes are on legacy. Nothing is compared until " +
      "the release.",
      EVIDENCE_STAYS,
      ...await plansAfter(sql, LEGACY_OPERATIONS, { held: true }),
    ];
    return {
      text: changed ? text.join("\n") : "The kill switch is on already",
      json: { changed },
    };
  },
});

export const release = changeCommand({
  usage: "",
  does: "ends a kill: each route returns to the mode that status shows",
  async run({ sql, note }) {
    const changed = await releaseRoutes(sql, note);
    if (!changed) return { text: "The kill switch is off already", json: { changed } };
    const returned = [...(await readRoutes(sql)).routes.values()].filter(({ operation, mode }) =>
      isLegacyOperation(operation) && mode.name !== "legacy"
    );
    const modes = returned.map(({ operation, mode }) => `${operation} ${describeMode(mode)}`);
    return {
      text: modes.length === 0
        ? "The kill switch is off: within a second it holds no route any more. The old " +
          "operations stay on legacy"
        : `The kill switch is off: within a second the routes return: ${modes.join(", ")}.\n` +
          "Their evidence from before the kill stays in the report and counts for no verdict: " +
          "each begins anew.\nPlans that the kill has stopped stay stopped: start them again.",
      json: { changed },
    };
  },
});

const EVIDENCE_STAYS =
  "Evidence so far stays in the report and counts for no verdict any more: that " +
  "of the next mode begins anew.";
const TO_CLEAR = "To move it again, run deno task cutover clear OPERATION --why TEXT first.";

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

/** Moves routes in turn; when one is refused, the message has those that have moved. */
async function moveRoutes(
  sql: Sql,
  routes: readonly StoredRoute[],
  mode: Mode,
  note: Note,
): Promise<ChangedRoute[]> {
  const done: ChangedRoute[] = [];
  for (const { operation, epoch } of routes) {
    try {
      done.push(await setMode(sql, { operation, mode, expectedEpoch: epoch, ...note }));
    } catch (error) {
      if (done.length === 0) throw error;
      throw new RefusedError(`${done.map(sentence).join("\n")}\nThen: ${sentenceOf(error)}`);
    }
  }
  return done;
}

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
