import { type ClockReading, listRunningProcesses, readClock } from "../db/processes.ts";
import { findZones, otherZones, TimeZoneError } from "../db/time_zone_sources.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { DatabaseCheck } from "./checks.ts";
import { failure, ok, warning } from "./findings.ts";
import { nameOf } from "./processes.ts";

const ZONE_ADVICE =
  "set TIME_ZONE to the time zone of the old server's sessions, see docs/setup.md";

export const timeZone: DatabaseCheck = {
  name: "time zone",
  needs: "nothing",
  async run({ databaseUrl, settings }) {
    try {
      const zones = await findZones(databaseUrl, settings.timeZone);
      const read = `Times without an offset are read in ${zones.zone}`;
      const others = otherZones(zones);
      if (others === undefined) return [ok("time zone", read)];
      const source = zones.source === "setting" ? "TIME_ZONE" : zones.source;
      return [
        warning("time zone", `${read} (${source}), and there is also ${others}`, ZONE_ADVICE),
      ];
    } catch (error) {
      if (!(error instanceof TimeZoneError)) throw error;
      return [failure("time zone", error.message, "see select name from pg_timezone_names")];
    }
  },
};

/** Each clock beside PostgreSQL's, and beside the others. */
export const clocks: DatabaseCheck = {
  name: "clocks",
  needs: "primary",
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
const CLOCK_ADVICE = "synchronise the clocks, for example with chrony";

export function clockFindings(
  clocks: readonly ({ readonly of: string } & ClockReading)[],
): readonly Finding[] {
  const check = "clocks";
  const findings: Finding[] = [];
  const add = (differenceMs: number, errorMs: number, message: string) => {
    const certain = Math.abs(differenceMs) - errorMs;
    if (certain > FAILURE_MS) findings.push(failure(check, message, CLOCK_ADVICE));
    else if (certain > WARNING_MS) findings.push(warning(check, message, CLOCK_ADVICE));
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
  const most = Math.max(...clocks.map(({ aheadMs }) => Math.abs(aheadMs)));
  return [
    ok(
      check,
      "The clocks of this machine and of the running processes are at most " +
        `${Math.ceil(most)} ms from PostgreSQL's`,
    ),
  ];
}

const seconds = (ms: number) => `${(Math.abs(ms) / 1_000).toFixed(1)} s`;
