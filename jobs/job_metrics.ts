import { Counter, Histogram, Registry } from "prom-client";
import type { NextState } from "./outcome.ts";

/** How an attempt ended; `not_stored`: PostgreSQL took no outcome, so its lease will end. */
type EndOfAttempt = NextState["is"] | "not_stored";

/** Counts what one worker does with its jobs. */
export type JobMetrics = ReturnType<typeof createJobMetrics>;

/** From a refresh that finds nothing to an audit of a large plant, in s. */
const BUCKETS_S = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900];

/**
 * Counts and measures the attempts of one worker.
 *
 * @param kinds those of its jobs; a job of any other kind counts as `unknown`
 */
export function createJobMetrics(kinds: readonly string[]) {
  const registry = new Registry();
  const registers = [registry];
  const shown = (kind: string) => kinds.includes(kind) ? kind : "unknown";
  const duration = new Histogram({
    name: "lotline_job_duration_seconds",
    help: "Time that an attempt of a job took, by how it ended.",
    labelNames: ["kind", "outcome"],
    buckets: BUCKETS_S,
    registers,
  });
  const counter = (name: string, help: string) => {
    const counts = new Counter({
      name: `lotline_${name}_total`,
      help,
      labelNames: ["kind"],
      registers,
    });
    // From 0 on, so that a rate shows the first one too.
    for (const kind of [...kinds, "unknown"]) counts.inc({ kind }, 0);
    return (kind: string) => counts.inc({ kind: shown(kind) });
  };
  for (const kind of kinds) {
    for (const outcome of ["finished", "failed"]) duration.zero({ kind, outcome });
  }
  return {
    ended: (kind: string, outcome: EndOfAttempt, seconds: number) =>
      duration.observe({ kind: shown(kind), outcome }, seconds),
    /** Its worker was lost, and this one has ended its attempt. */
    rescued: counter("job_rescues", "Jobs of lost workers whose attempt this worker has ended."),
    retried: counter("job_retries", "Attempts that failed and will be followed by another one."),
    died: counter("jobs_died", "Jobs that were given up for good."),
    /** As a part of what a process serves. */
    name: "jobs",
    text: () => registry.metrics(),
  };
}
