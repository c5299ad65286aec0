import { z } from "zod";
import { SharedSettings, wholeNumber } from "../config.ts";
import { DAY_MINUTES, MINUTE_MS, quietUntil } from "./quiet_hours.ts";

const DECIMAL = String.raw`-?\d{1,3}(?:\.\d{1,2})?`;
const LOT_TYPES = ["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"];
const TEMPERATURES = new RegExp(`^(${LOT_TYPES.join("|")}):(${DECIMAL})\\.\\.(${DECIMAL})$`);

/** Ranges of °C by lot type: each type at most once, no minimum above its maximum. */
const temperatures = z.string()
  .transform((text) => text.split(",").map((item) => TEMPERATURES.exec(item.trim()) ?? []))
  .refine((ranges) => new Set(ranges.map(([, type]) => type)).size === ranges.length)
  .refine((ranges) => ranges.every(([, , least, most]) => Number(least) <= Number(most)))
  .transform((ranges) =>
    Object.fromEntries(
      ranges.map(([, type = "", least = "", most = ""]) => [type, { least, most }]),
    )
  );

const TIME = String.raw`(\d{1,2})(?::([0-5]\d))?`;
const HOURS = new RegExp(`^${TIME}-${TIME}$`);

/** Parts of the day in minutes since midnight, past midnight when `to` isn't later; never all of it. */
const quietHours = z.string().transform((text) =>
  text.split(",").map((item) => {
    const [, fromHour, fromMinute = "0", toHour, toMinute = "0"] = HOURS.exec(item.trim()) ?? [];
    const from = Number(fromHour) * 60 + Number(fromMinute);
    return { from, to: Number(toHour) * 60 + Number(toMinute) };
  })
).refine((hours) =>
  hours.every(({ from, to }) =>
    from < DAY_MINUTES && to <= DAY_MINUTES && from !== to % DAY_MINUTES
  )
).refine((hours) =>
  Array.from({ length: DAY_MINUTES }, (_, minute) => minute * MINUTE_MS)
    .some((moment) => quietUntil(hours, moment) === undefined)
);

// RAW is meat, frozen or chilled, and also spice and oil, which are as warm as their store.
const USUAL_TEMPERATURES =
  "RAW:-25..25,DEB:-2..7,BULK:-2..7,MIX:-2..7,SKW:-2..7,FRZ:-40..-18,FG:-40..-18";

/** The settings of `deno task worker`. */
export const WorkerSettings = SharedSettings.pick({
  DATABASE_URL: true,
  DATABASE_POOLER: true,
  DATABASE_DIRECT_URL: true,
  DATABASE_REPLICA_URL: true,
  DATABASE_POOL_MAX: true,
  VALKEY_URL: true,
  VALKEY_CA_FILE: true,
  METRICS_HOST: true,
  METRICS_PORT: true,
  LOG_LEVEL: true,
  TIME_ZONE: true,
}).extend({
  WORKER_CONCURRENCY: wholeNumber(1, 64).default(4).meta({
    description: "a number of jobs from 1 to 64",
    formerly: "WORKER_JOBS",
  }),
  HEARTBEAT_FILE: z.string().min(1).optional().meta({
    description: "the path of a file in /tmp or /run that the worker writes every 5 s, or nothing",
  }),
  JOB_LEASE_SECONDS: wholeNumber(5, 600).default(30).meta({
    description: "a whole number of seconds from 5 to 600",
  }),
  TRACE_STORAGE_MAX_MB: wholeNumber(100, 1_000_000).default(10_000).meta({
    description: "a number of megabytes from 100 to 1000000",
  }),
  AUDIT_TEMPERATURES: temperatures.prefault(USUAL_TEMPERATURES).meta({
    description:
      "ranges of °C by lot type with commas between them, such as RAW:-2..7,FRZ:-40..-18",
  }),
  AUDIT_TOLERANCE_PERCENT: z.string().regex(/^\d{1,3}(?:\.\d{1,2})?$/)
    .refine((text) => Number(text) <= 100).default("2").meta({
      description: "a percentage from 0 to 100, such as 2 or 0.5",
    }),
  AUDIT_QUIET_HOURS: quietHours.optional().transform((hours) => hours ?? []).meta({
    description:
      "hours in UTC with a dash between them, such as 06-22 or 06:00-11:30,13:00-22:00, that leave " +
      "some of the day, or nothing",
  }),
});

export type WorkerConfig = Readonly<z.output<typeof WorkerSettings>>;

/** The settings of `deno task jobs`. */
export const JobsSettings = SharedSettings.pick({
  DATABASE_URL: true,
  DATABASE_POOLER: true,
  DATABASE_DIRECT_URL: true,
});
