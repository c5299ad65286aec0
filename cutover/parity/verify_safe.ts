import type { Approvals, Rule } from "../compare/approvals.ts";
import type { Redactor } from "../redact/redact.ts";
import { type Known, operationOf } from "./recorded_pair.ts";
import { type Outcome, outcomeOf, type Report, reportOf, startPeriod } from "./verify.ts";
import { type Exchange, exchangeName, type Recordings } from "./recordings.ts";
import { type SendOptions, sendSafe, type Skipped } from "./send_safe.ts";

/** The result of a check that skipped requests. */
interface SafeReport extends Report {
  readonly skipped: readonly Skipped[];
}

/**
 * Sends the recorded requests that change nothing to a server with any rows, and compares its responses
 * with the recorded ones. Only approvals of exchanges that were sent count.
 *
 * @param rules for live recordings, whose exchanges no approval names
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
  const period = startPeriod();
  const scenarios = recordings.scenarios.map((scenario) => ({
    ...scenario,
    requests: scenario.steps.map(({ request }) => request),
  }));
  const skipped = await sendSafe(
    scenarios,
    { ...options, allowWrites: false },
    (scenario, step, response) => {
      const exchange = scenario.steps[step];
      if (exchange === undefined) return;
      const known: Known = {
        given: givenIn(exchange),
        recorded: recordings.recorded,
        actual: period(),
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
 * The text whose ids and times the server must return: a request that changes nothing generates no id,
 * and only the health check generates a time.
 */
function givenIn({ request, response }: Exchange): string {
  const sent = JSON.stringify(request);
  return operationOf(request.method, request.path) === "getHealth" ? sent : sent + response.body;
}

/** The skipped requests, a line for each reason; empty without any. */
export function formatSkipped(skipped: readonly Skipped[]): string {
  const reasons = new Map<string, string[]>();
  for (const { exchange, why } of skipped) {
    // One line for all pseudonyms.
    const note = why.endsWith(")") ? why.indexOf(" (") : -1;
    const reason = note === -1 ? why : why.slice(0, note);
    reasons.getOrInsertComputed(reason, () => []).push(exchange);
  }
  const lines = [...reasons].map(([reason, exchanges]) =>
    `SKIPPED ${exchanges.length} requests: ${reason}, such as ${exchanges[0]}`
  );
  return lines.map((line) => `${line}\n`).join("");
}
