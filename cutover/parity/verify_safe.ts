import type { Approvals, Rule } from "../compare/approvals.ts";
import type { Redactor } from "../redact/redact.ts";
import { type Known, operationOf } from "./recorded_pair.ts";
import { CLOCKS_APART_MS, type Outcome, outcomeOf, type Report, reportOf } from "./verify.ts";
import { type Exchange, exchangeName, type Recordings } from "./recordings.ts";
import { type SendOptions, sendSafe, type Skipped } from "./send_safe.ts";

/** A check that left requests out. */
export interface SafeReport extends Report {
  readonly skipped: readonly Skipped[];
}

/**
 * Sends the recorded requests that change nothing to a server, whatever rows it has, and compares its
 * answers with the recorded ones. Only approvals of exchanges that were sent count.
 *
 * @param rules for live answers: recordings of such have no names for approvals
 */
export async function verifySafe(
  options: Omit<SendOptions, "allowWrites"> & {
    /** The server's rows may be anybody's. */
    readonly redactor: Pick<Redactor, "differences">;
  },
  recordings: Recordings,
  approvals: Approvals = [],
  rules: readonly Rule[] = [],
): Promise<SafeReport> {
  const outcomes: Outcome[] = [];
  const from = new Date(Date.now() - CLOCKS_APART_MS).toISOString();
  const scenarios = recordings.scenarios.map((scenario) => ({
    ...scenario,
    requests: scenario.steps.map(({ request }) => request),
  }));
  const byName = new Map(recordings.scenarios.map((scenario) => [scenario.name, scenario]));
  const skipped = await sendSafe(
    scenarios,
    { ...options, allowWrites: false },
    ({ name }, step, response) => {
      const scenario = byName.get(name);
      const exchange = scenario?.steps[step];
      if (scenario === undefined || exchange === undefined) return;
      const known: Known = {
        given: givenIn(exchange),
        recorded: recordings.recorded,
        actual: { from, to: new Date(Date.now() + CLOCKS_APART_MS).toISOString() },
        made: new Map(),
      };
      outcomes.push(
        outcomeOf(
          exchangeName(scenario, step),
          exchange,
          response,
          known,
          approvals,
          rules,
          options.redactor,
        ),
      );
    },
  );
  const sent = new Set(outcomes.map(({ exchange }) => exchange));
  const ofSent = approvals
    .map((entry) => ({
      ...entry,
      responses: entry.responses.filter((one) => sent.has(one.exchange)),
    }))
    .filter(({ responses }) => responses.length > 0);
  return { ...reportOf(outcomes, ofSent), skipped };
}

/**
 * Where ids and times were found that must come back: what changes nothing makes up no id, and no
 * time but that of the health check.
 */
function givenIn({ request, response }: Exchange): string {
  const sent = JSON.stringify(request);
  return operationOf(request.method, request.path) === "getHealth" ? sent : sent + response.body;
}

/** What was left out and why, a line a reason; nothing without any. */
export function formatSkipped(skipped: readonly Skipped[]): string {
  const reasons = new Map<string, string[]>();
  for (const { exchange, why } of skipped) {
    // One line for all pseudonyms.
    const note = why.endsWith(")") ? why.indexOf(" (") : -1;
    const reason = note === -1 ? why : why.slice(0, note);
    const exchanges = reasons.get(reason);
    if (exchanges === undefined) reasons.set(reason, [exchange]);
    else exchanges.push(exchange);
  }
  const lines = [...reasons].map(([reason, exchanges]) =>
    `SKIPPED ${exchanges.length} requests: ${reason}, such as ${exchanges[0]}`
  );
  return lines.map((line) => `${line}\n`).join("");
}
