import type postgres from "postgres";
import {
  type Approvals,
  type Approved,
  listDueReviews,
  listUnused,
  recordedRulesOf,
  type Rule,
} from "../compare/approvals.ts";
import { compare } from "../compare/compare.ts";
import { fillEtags, type ReceivedResponse, recordedResponse, send } from "./exchange.ts";
import { type Known, operationOf, pairOf } from "./recorded_pair.ts";
import type { Redactor } from "../redact/redact.ts";
import { type Exchange, exchangeName, type Recordings, type Scenario } from "./recordings.ts";
import { type SendOptions, sendSafe, type Skipped } from "./send_safe.ts";
import { resetToSeed, type Seed } from "../../dev/seed.ts";

/** A running server, and the database behind it. */
interface Subject {
  /** Its base address, such as `http://127.0.0.1:8000`. */
  base: string;
  /** A connection to the server's own database, whose ten old tables are overwritten. */
  sql: postgres.Sql;
  seed: Seed;
}

export interface Outcome extends Approved {
  /** Method and path, for people; a long path is cut. */
  request: string;
  /** The operation of the contract, or `preflight`, or `other`. */
  operation: string;
  /** The approvals that this exchange used or that name it, if any. */
  approval: string | undefined;
  /** A line for each difference; empty unless the verdict is `wrong`. */
  differences: string[];
}

/** The result of a check against recordings. */
export interface Report {
  outcomes: Outcome[];
  /** Unused approvals, a line each: one fails the check. */
  unused: string[];
  /** Approvals whose review is due, a line each; they fail no check. */
  due: string[];
}

/** The greatest difference between this clock and the server's or the database's, in ms. */
const CLOCKS_APART_MS = 5 * 60_000;

/** From now on until each call, with room for two clocks. */
function startPeriod(): () => Known["actual"] {
  const from = new Date(Date.now() - CLOCKS_APART_MS).toISOString();
  return () => ({ from, to: new Date(Date.now() + CLOCKS_APART_MS).toISOString() });
}

/**
 * Sends every recorded request to a server and compares its responses with the recorded ones. Each
 * scenario starts from exactly the seed rows; afterwards the database holds just these again.
 * Without approvals every difference is wrong.
 */
export async function verify(
  subject: Subject,
  recordings: Recordings,
  approvals: Approvals = [],
): Promise<Report> {
  const outcomes: Outcome[] = [];
  const seedText = JSON.stringify(subject.seed);
  const period = startPeriod();
  const { recorded } = recordings;
  await replay(subject, recordings.scenarios, (scenario) => {
    const made = new Map<string, string>();
    return (exchange, received, step) => {
      const given = seedText + JSON.stringify(exchange.request);
      const known = { given, recorded, actual: period(), made };
      outcomes.push(outcomeOf(exchangeName(scenario, step), exchange, received, known, approvals));
    };
  });
  return reportOf(outcomes, approvals);
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
  { scenarios, recorded }: Recordings,
  approvals: Approvals = [],
  rules: readonly Rule[] = [],
): Promise<Report & { readonly skipped: readonly Skipped[] }> {
  const outcomes: Outcome[] = [];
  const period = startPeriod();
  const to = { ...options, allowWrites: false };
  const skipped = await sendSafe(scenarios, to, (exchange, received, [name, step]) => {
    const known = { given: givenIn(exchange), recorded, actual: period(), made: new Map() };
    const at = exchangeName({ name }, step);
    outcomes.push(
      outcomeOf(at, exchange, received, known, approvals, rules, options.redactor),
    );
  });
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

/**
 * Compares one exchange with the response that its request has now.
 *
 * @param rules further ones, for live recordings
 * @param redactor for responses with the data of people
 */
export function outcomeOf(
  name: string,
  exchange: Exchange,
  received: ReceivedResponse,
  known: Known,
  approvals: Approvals,
  rules: readonly Rule[] = [],
  redactor?: Pick<Redactor, "differences">,
): Outcome {
  const { method, path } = exchange.request;
  const operation = operationOf(method, path);
  const own = recordedRulesOf(approvals, name);
  const { outcome, used, differences } = received.status === 0
    ? { outcome: "different", used: [], differences: [] }
    : compare(pairOf(exchange, received, known), [...own, ...rules]);
  const verdict = outcome === "same" || outcome === "approved" ? outcome : "wrong";
  const ids = (verdict === "approved" ? used : own).map(({ id }) => id);
  return {
    exchange: name,
    request: `${method} ${path.slice(0, 80)}`,
    operation: operation ?? (method === "OPTIONS" ? "preflight" : "other"),
    verdict,
    approval: ids.length === 0 ? undefined : [...new Set(ids)].sort().join(", "),
    used,
    status: received.status,
    differences: received.status === 0
      ? [`no response: ${received.body}`]
      : (redactor?.differences(operation, differences) ?? differences).map((
        { place, legacy, service },
      ) => `${place}: ${excerpt(legacy)} -> ${excerpt(service)}`),
  };
}

const MAX_EXCERPT = 100;

function excerpt(text: string | undefined): string {
  if (text === undefined || text === "") return "(none)";
  return text.length <= MAX_EXCERPT ? text : `${text.slice(0, MAX_EXCERPT - 1)}…`;
}

/** The outcomes, and the approvals that are unused or due. */
export function reportOf(outcomes: Outcome[], approvals: Approvals): Report {
  return {
    outcomes,
    unused: listUnused(approvals, outcomes),
    due: listDueReviews(approvals, new Date().toISOString().slice(0, 10)),
  };
}

/**
 * Sends the requests of `scenarios` to a server and returns its responses as new recordings. Each
 * scenario starts from exactly the seed rows; afterwards the database holds just these again.
 */
export async function record(
  subject: Subject,
  scenarios: readonly Scenario[],
): Promise<Recordings> {
  const from = new Date().toISOString();
  const recorded: Scenario[] = [];
  await replay(subject, scenarios, ({ name }) => {
    const steps: Exchange[] = [];
    recorded.push({ name, steps });
    return ({ request }, received) => steps.push({ request, response: recordedResponse(received) });
  });
  return { recorded: { from, to: new Date().toISOString() }, scenarios: recorded };
}

/** Whether a check passed: nothing wrong, no approval unused. */
export function passed({ outcomes, unused }: Report): boolean {
  return unused.length === 0 && outcomes.every(({ verdict }) => verdict !== "wrong");
}

async function replay(
  { base, sql, seed }: Subject,
  scenarios: readonly Scenario[],
  begin: (scenario: Scenario) => (
    exchange: Exchange,
    received: ReceivedResponse,
    step: number,
  ) => unknown,
): Promise<void> {
  for (const scenario of scenarios) {
    await resetToSeed(sql, seed);
    const visit = begin(scenario);
    const past: ReceivedResponse[] = [];
    for (const [step, exchange] of scenario.steps.entries()) {
      const received = await send(base, fillEtags(exchange.request, past));
      past.push(received);
      visit(exchange, received, step);
    }
  }
  await resetToSeed(sql, seed);
}
