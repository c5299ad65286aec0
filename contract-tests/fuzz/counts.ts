import { z } from "zod";

/** The phases of a run, in order. */
export const PHASES = ["examples", "coverage", "fuzzing", "stateful"] as const;

/** The requests and findings of a run. */
export interface Counts {
  /** By operation (`GET /api/health`), how many requests each phase sent. */
  readonly requests: Map<string, Map<string, number>>;
  /** By operation, the names of the checks that failed and how often each did. */
  readonly failures: Map<string, Map<string, number>>;
  /** The links of the document that were followed. */
  readonly links: Set<string>;
}

const Scenario = z.object({
  ScenarioFinished: z.object({
    phase: z.string(),
    recorder: z.object({
      cases: z.record(
        z.string(),
        z.object({
          value: z.object({ method: z.string(), path: z.string() }),
          transition: z.object({ id: z.string(), is_inferred: z.boolean() }).nullish(),
          is_transition_applied: z.boolean().optional(),
        }),
      ).default({}),
      checks: z.record(z.string(), z.array(z.object({ name: z.string(), status: z.string() })))
        .default({}),
    }),
  }),
});

/** Empty counts. */
export const newCounts = (): Counts => ({
  requests: new Map(),
  failures: new Map(),
  links: new Set(),
});

/**
 * Adds the events of one run, one a line.
 *
 * @throws {z.ZodError} when an event has another shape
 */
export async function addEvents(counts: Counts, file: string): Promise<void> {
  for await (const line of linesOf(file)) {
    if (line.startsWith('{"ScenarioFinished":')) addScenario(counts, JSON.parse(line));
  }
}

function addScenario(counts: Counts, event: unknown): void {
  const { phase, recorder: { cases, checks } } = Scenario.parse(event).ScenarioFinished;
  for (const { value, transition, is_transition_applied } of Object.values(cases)) {
    count(counts.requests, nameOf(value), phase);
    if (transition && !transition.is_inferred && is_transition_applied) {
      counts.links.add(transition.id);
    }
  }
  for (const [id, results] of Object.entries(checks)) {
    const value = cases[id]?.value;
    for (const { name, status } of results) {
      if (status !== "success") count(counts.failures, value ? nameOf(value) : "?", name);
    }
  }
}

const nameOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;

function count(by: Map<string, Map<string, number>>, one: string, other: string): void {
  const counts = by.get(one) ?? new Map<string, number>();
  by.set(one, counts.set(other, (counts.get(other) ?? 0) + 1));
}

// A long run's events don't fit into one string.
async function* linesOf(file: string): AsyncGenerator<string> {
  using source = await Deno.open(file);
  let rest = "";
  for await (const text of source.readable.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}

/**
 * The counts as a table in Markdown: operation × phase, and failed checks. Requests outside the
 * document, such as methods that a path must refuse, are one line.
 */
export function tableOf({ requests, failures }: Counts, operations: readonly string[]): string {
  const isNamed = ([name]: [string, unknown]) => operations.includes(name);
  const others = (counts: Map<string, Map<string, number>>) =>
    sumOf([...counts].filter((entry) => !isNamed(entry)).map(([, counted]) => counted));
  return [
    `| operation | ${PHASES.join(" | ")} | failures |`,
    `| --- |${" ---: |".repeat(PHASES.length)} --- |`,
    ...operations.map((name) => rowOf(name, requests.get(name), failures.get(name))),
    rowOf("other methods", others(requests), others(failures)),
  ].join("\n");
}

function rowOf(
  name: string,
  phases = new Map<string, number>(),
  failed = new Map<string, number>(),
) {
  const failures = [...failed].map(([check, times]) => `${check} × ${times}`).join(", ") || "none";
  return `| ${[name, ...PHASES.map((phase) => phases.get(phase) ?? 0), failures].join(" | ")} |`;
}

function sumOf(counts: readonly Map<string, number>[]): Map<string, number> {
  const sum = new Map<string, number>();
  for (const [name, times] of counts.flatMap((counted) => [...counted])) {
    sum.set(name, (sum.get(name) ?? 0) + times);
  }
  return sum;
}
