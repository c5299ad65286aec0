import {
  type ClockReading,
  listRunningProcesses,
  readClock,
  type RunningProcess,
} from "../db/processes.ts";
import { findZones, TimeZoneError, warningOf } from "../db/time_zone_sources.ts";
import { isSameZone } from "../db/zone_names.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { DatabaseCheck } from "./checks.ts";
import { failure, ok, warning } from "./findings.ts";

const ZONE_TODO = "docs/setup.md says which zone is right";

export const timeZone: DatabaseCheck = {
  name: "time zone",
  needsSchema: false,
  async run({ databaseUrl, settings }) {
    try {
      const zones = await findZones(databaseUrl, settings.timeZone);
      const different = warningOf(zones);
      if (different !== undefined) return [warning("time zone", different, ZONE_TODO)];
      return [ok("time zone", `Times without an offset are read in ${zones.zone}`)];
    } catch (error) {
      if (!(error instanceof TimeZoneError)) throw error;
      return [failure("time zone", error.message, "see select name from pg_timezone_names")];
    }
  },
};

/** What the running processes say of themselves. */
export const processes: DatabaseCheck = {
  name: "processes",
  needsSchema: true,
  async run({ sql, settings }) {
    return processFindings(await listRunningProcesses(sql), settings.timeZone);
  },
};

export function processFindings(
  running: readonly Pick<RunningProcess, "kind" | "client" | "timeZone">[],
  zone: string | undefined,
): readonly Finding[] {
  const check = "processes";
  const counts = Map.groupBy(running, ({ kind }) => kind);
  const shown = [...counts].map(([kind, { length }]) => `${length} ${kind}`).join(", ") || "none";
  const others = running.filter(({ kind, timeZone }) =>
    kind !== "gateway" && !isSameSetting(timeZone ?? undefined, zone)
  );
  return [
    ok(check, `Running processes: ${shown}`),
    ...(counts.has("worker") ? [] : [
      warning(
        check,
        "No worker runs: jobs wait, and the cache isn't used",
        "start deno task worker",
      ),
    ]),
    ...(others.length === 0 ? [] : [
      warning(
        check,
        `TIME_ZONE is ${zone ?? "not set"} here, and ` +
          [...new Set(others.map((one) => `${one.timeZone ?? "not set"} in ${nameOf(one)}`))]
            .join(", "),
        "give all processes the same TIME_ZONE",
      ),
    ]),
  ];
}

const isSameSetting = (one: string | undefined, other: string | undefined) =>
  one === other || one !== undefined && other !== undefined && isSameZone(one, other);

const nameOf = ({ kind, client }: Pick<RunningProcess, "kind" | "client">) =>
  `the ${kind} at ${client ?? "a unix socket"}`;

/** Each clock beside PostgreSQL's, and beside the others. */
export const clocks: DatabaseCheck = {
  name: "clocks",
  needsSchema: true,
  async run({ sql }) {
    const [here, running] = await Promise.all([readClock(sql), listRunningProcesses(sql)]);
    return clockFindings([
      { of: "this machine", ...here },
      ...running.flatMap(({ clock, ...process }) =>
        clock === null ? [] : [{ of: nameOf(process), ...clock }]
      ),
    ]);
  },
};

/** Differences in ms; from the second one on tokens are refused. */
const WARNING_MS = 1_000;
const FAILURE_MS = 30_000;
const CLOCK_TODO = "synchronise the clocks, for example with chrony";

export function clockFindings(
  clocks: readonly ({ readonly of: string } & ClockReading)[],
): readonly Finding[] {
  const check = "clocks";
  const findings: Finding[] = [];
  const add = (differenceMs: number, errorMs: number, message: string) => {
    const certain = Math.abs(differenceMs) - errorMs;
    if (certain > FAILURE_MS) findings.push(failure(check, message, CLOCK_TODO));
    else if (certain > WARNING_MS) findings.push(warning(check, message, CLOCK_TODO));
  };
  for (const { of, aheadMs, errorMs } of clocks) {
    const side = aheadMs > 0 ? "ahead of" : "behind";
    add(aheadMs, errorMs, `The clock of ${of} is ${seconds(aheadMs)} ${side} PostgreSQL's`);
  }
  const [first, ...others] = clocks.toSorted((a, b) => a.aheadMs - b.aheadMs);
  const last = others.at(-1);
  // Two clocks may differ by more than each does from PostgreSQL's.
  if (findings.length === 0 && first !== undefined && last !== undefined) {
    const difference = last.aheadMs - first.aheadMs;
    add(
      difference,
      last.errorMs + first.errorMs,
      `The clocks of ${last.of} and ${first.of} differ by ${seconds(difference)}`,
    );
  }
  if (findings.length > 0) return findings;
  return [ok(check, "The clocks of this machine, PostgreSQL and the running processes agree")];
}

const seconds = (ms: number) => `${(Math.abs(ms) / 1_000).toFixed(1)} s`;
