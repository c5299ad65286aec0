import type { Job } from "../db/jobs.ts";
import { columns, printable } from "../terminal.ts";

export function jobTable(jobs: readonly Job[]): string {
  return columns(
    ["id", "kind", "state", "attempt", "starts", "created", "progress"],
    jobs.map((job) => [
      job.id,
      job.kind,
      job.cancel_requested && job.state === "running" ? "stopping" : job.state,
      String(job.attempt),
      String(job.starts),
      job.created_at,
      textOf(job.progress),
    ]),
  );
}

/** A job with a line for each column. */
export function jobDetails(job: Job): string {
  const width = Math.max(...Object.keys(job).map((name) => name.length));
  return Object.entries(job).map(([name, value]) =>
    `${name.padEnd(width)}  ${printable(textOf(value))}`.trimEnd()
  ).join("\n");
}

function textOf(value: unknown): string {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
