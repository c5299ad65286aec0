import { z } from "zod";

/** The phases of a run, in their order. */
export const PHASES = ["examples", "coverage", "fuzzing", "stateful"] as const;

/** What a run tried and found. */
export interface Tally {
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

/** An empty tally. */
export const newTally = (): Tally => ({
  requests: new Map(),
  failures: new Map(),
  links: new Set(),
});

/**
 * Adds what one run wrote down, an event a line.
 *
 * @throws {z.ZodError} when it is of another shape
 */
export async function addEvents(tally: Tally, file: string): Promise<void> {
  for await (const line of linesOf(file)) {
    if (line.startsWith('{"ScenarioFinished":')) addScenario(tally, JSON.parse(line));
  }
}

function addScenario(tally: Tally, event: unknown): void {
  const { phase, recorder: { cases, checks } } = Scenario.parse(event).ScenarioFinished;
  for (const { value, transition, is_transition_applied } of Object.values(cases)) {
    count(tally.requests, nameOf(value), phase);
    if (transition && !transition.is_inferred && is_transition_applied) {
      tally.links.add(transition.id);
    }
  }
  for (const [id, results] of Object.entries(checks)) {
    const value = cases[id]?.value;
    for (const { name, status } of results) {
      if (status !== "success") count(tally.failures, value ? nameOf(value) : "?", name);
    }
  }
}

const nameOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;

function count(by: Map<string, Map<string, number>>, one: string, other: string): void {
  const counts = by.get(one) ?? new Map<string, number>();
  by.set(one, counts.set(other, (counts.get(other) ?? 0) + 1));
}

// A long run's events don't fit into one text.
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

/** The tally as a table in Markdown: operation × phase, and what failed. */
export function tableOf({ requests, failures }: Tally, operations: readonly string[]): string {
  const others = new Map([...requests].filter(([name]) => !operations.includes(name)));
  const row = (name: string, phases: Map<string, number> | undefined) =>
    `| ${name} | ${PHASES.map((phase) => phases?.get(phase) ?? 0).join(" | ")} | ${
      failuresOf(name)
    } |`;
  const failuresOf = (name: string) => {
    const named = failures.get(name) ?? new Map<string, number>();
    return [...named].map(([check, times]) => `${check} × ${times}`).join(", ") || "none";
  };
  const elsewhere = new Map<string, number>();
  for (const phases of others.values()) {
    for (const [phase, n] of phases) elsewhere.set(phase, (elsewhere.get(phase) ?? 0) + n);
  }
  return [
    `| operation | ${PHASES.join(" | ")} | failures |`,
    `| --- |${" ---: |".repeat(PHASES.length)} --- |`,
    ...operations.map((name) => row(name, requests.get(name))),
    row("other methods", elsewhere),
    ...[...failures.keys()].filter((name) => !operations.includes(name))
      .map((name) => row(name, requests.get(name))),
  ].join("\n");
}
