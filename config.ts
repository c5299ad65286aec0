import ipaddr from "ipaddr.js";
import { z } from "zod";

/** Everything that the API process can be told, read once at the start. */
export type Config = Readonly<z.output<typeof ApiSettings>>;

/** The environment as `Deno.env.toObject()` gives it: names to text. */
export type Environment = Readonly<Record<string, string | undefined>>;

const wholeNumber = (least: number, most: number) =>
  z.string().regex(/^\d+$/).transform(Number).refine((n) => n >= least && n <= most);

const urlOf = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol));

/** The longest that a login token can be made to live, in minutes: a shift. */
export const LONGEST_TOKEN_MINUTES = 720;

const DECIMAL = String.raw`-?\d{1,3}(?:\.\d{1,2})?`;
const LOT_TYPES = ["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"];
const TEMPERATURES = new RegExp(`^(${LOT_TYPES.join("|")}):(${DECIMAL})\\.\\.(${DECIMAL})$`);

/** Ranges of °C by lot type, each type at most once, each range's least before its most. */
const temperatures = z.string().transform((text, context) => {
  const ranges = text.split(",").map((item) => TEMPERATURES.exec(item.trim()));
  const types = new Set(ranges.map((range) => range?.[1]));
  const limits: Record<string, { readonly least: string; readonly most: string }> = {};
  for (const [, type = "", least = "", most = ""] of ranges.map((range) => range ?? [])) {
    limits[type] = { least, most };
  }
  if (
    types.size < ranges.length ||
    !ranges.every((range) => range && Number(range[2]) <= Number(range[3]))
  ) {
    context.addIssue({ code: "custom" });
    return z.NEVER;
  }
  return limits;
});

const TIME = String.raw`(\d{1,2})(?::([0-5]\d))?`;
const HOURS = new RegExp(`^${TIME}-${TIME}$`);
const DAY_MINUTES = 24 * 60;

/** Parts of the day in minutes since midnight, over midnight when `to` isn't later; never all of it. */
const quietHours = z.string().transform((text, context) => {
  const hours = text.split(",").map((item) => {
    const [, fromHour, fromMinute = "0", toHour, toMinute = "0"] = HOURS.exec(item.trim()) ?? [];
    const from = Number(fromHour) * 60 + Number(fromMinute);
    return { from, to: Number(toHour) * 60 + Number(toMinute) };
  });
  const exist = hours.every(({ from, to }) =>
    from < DAY_MINUTES && to <= DAY_MINUTES && from !== to % DAY_MINUTES
  );
  const leaveTime = Array.from({ length: DAY_MINUTES }, (_, minute) => minute).some((minute) =>
    hours.every(({ from, to }) =>
      from < to ? minute < from || minute >= to : minute < from && minute >= to
    )
  );
  if (exist && leaveTime) return hours;
  context.addIssue({ code: "custom" });
  return z.NEVER;
});

// RAW is meat, frozen or chilled, and also spice and oil, which are as warm as their store.
const USUAL_TEMPERATURES =
  "RAW:-25..25,DEB:-2..7,BULK:-2..7,MIX:-2..7,SKW:-2..7,FRZ:-40..-18,FG:-40..-18";

const databaseUrl = urlOf("postgres:", "postgresql:");

const WHAT_IS_EXPECTED: Record<string, string> = {
  HOST: "the address to listen on, such as 127.0.0.1",
  PORT: "a port from 0 (any free one) to 65535",
  DATABASE_URL: "a PostgreSQL address, such as postgres://user:password@localhost:5432/plant",
  REUSE_PORT: "0 or 1",
  DATABASE_POOL: "a number of connections from 1 to 200",
  VALKEY_URL: "the address of Valkey, such as redis://localhost:6379, or nothing at all",
  AUTH_MODE: '"legacy" or "required"; it has no default on purpose',
  JWT_KEYS_FILE: "the path of the key file that `deno task keys create` makes",
  TOKEN_MINUTES: `a whole number of minutes from 1 to ${LONGEST_TOKEN_MINUTES}`,
  CORS_ORIGINS:
    '"none", or origins with commas between them, such as https://plant.example; "*" is for ' +
    'AUTH_MODE=legacy alone, with "required" write "any-site" if every site may call',
  TRUSTED_PROXIES: "addresses or networks with commas between them, such as 10.0.0.0/8",
  LOGIN_TRIES_PER_ACCOUNT: "a number of failed logins from 1 to 1000",
  LOGIN_TRIES_PER_ADDRESS: "a number of failed logins from 1 to 100000",
  METRICS_TOKEN: "a secret of at least 16 letters and digits, or nothing at all",
  DRY_RUN_SECRET: "a secret of at least 32 characters, the same for API and gateway",
  AUDIT_TEMPERATURES:
    "ranges of °C by lot type with commas between them, such as RAW:-2..7,FRZ:-40..-18",
  AUDIT_TOLERANCE_PERCENT: "a percentage from 0 to 100, such as 2 or 0.5",
  AUDIT_QUIET_HOURS:
    "hours in UTC with a dash between them, such as 06-22 or 06:00-11:30,13:00-22:00, that leave " +
    "some of the day, or nothing at all",
  BASE: "the address of a server, such as http://127.0.0.1:8000",
  PARITY_TOKEN: "a login token, or nothing at all",
  BODY_LIMIT: "a number of bytes from 1024 to 10485760",
  LOG_LEVEL: "debug, info, warn or error",
  GATEWAY_PORT: "a port from 0 (any free one) to 65535",
  GATEWAY_ADMIN_PORT: "a port from 0 (any free one) to 65535, another than GATEWAY_PORT",
  GATEWAY_ADMIN_HOST: "the address to listen on for commands, such as 127.0.0.1",
  LEGACY_URL: "the old server's address without a path, such as http://127.0.0.1:3001",
  SERVICE_URL: "the address of Lotline's API without a path, such as http://127.0.0.1:8000",
  GATEWAY_URL: "the gateway's address without a path, such as http://127.0.0.1:8080",
  GATEWAY_TOKEN: "a secret of at least 16 letters and digits",
  GATEWAY_BODY_LIMIT: "a number of bytes from 102400 to 104857600",
  UPSTREAM_TIMEOUT_SECONDS: "a whole number of seconds from 1 to 600",
  CANARY_BY: "client, address, request, or header NAME such as header X-Terminal-Id",
  WORKER_JOBS: "a number of jobs from 1 to 64",
  JOB_LEASE_SECONDS: "a whole number of seconds from 5 to 600",
  TRACE_STORAGE_MAX_MB: "a number of megabytes from 100 to 1000000",
};

const listOf = (isItem: (text: string) => boolean) =>
  z.string().transform((text) => text.split(",").map((item) => item.trim()))
    .refine((items) => items.every(isItem));

/** Any site (`*`), or just these origins. */
const corsOrigins = z.union([
  z.enum(["*", "any-site"]),
  z.literal("none").transform((): string[] => []),
  listOf((text) => /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text),
]);

const dryRunSecret = z.string().min(32);

const ApiSettings = z.object({
  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: wholeNumber(0, 65_535).default(8000),
  REUSE_PORT: z.enum(["0", "1"]).default("0").transform((text) => text === "1"),
  DATABASE_URL: databaseUrl,
  DATABASE_POOL: wholeNumber(1, 200).default(10),
  VALKEY_URL: urlOf("redis:", "rediss:", "valkey:").optional(),
  AUTH_MODE: z.enum(["legacy", "required"]),
  JWT_KEYS_FILE: z.string().min(1),
  TOKEN_MINUTES: wholeNumber(1, LONGEST_TOKEN_MINUTES).default(30),
  CORS_ORIGINS: corsOrigins.default("*"),
  TRUSTED_PROXIES: listOf((text) => ipaddr.isValid(text) || ipaddr.isValidCIDR(text)).default([]),
  LOGIN_TRIES_PER_ACCOUNT: wholeNumber(1, 1_000).default(10),
  LOGIN_TRIES_PER_ADDRESS: wholeNumber(1, 100_000).default(100),
  METRICS_TOKEN: z.string().regex(/^\w{16,}$/).optional(),
  DRY_RUN_SECRET: dryRunSecret.optional(),
  BODY_LIMIT: wholeNumber(1024, 10_485_760).default(102_400),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

// Tokens in the hands of any site's scripts is what `required` is there to prevent. It takes more
// than the default, or a setting left from `legacy`, to want that.
const CheckedApiSettings = ApiSettings.refine(
  ({ AUTH_MODE, CORS_ORIGINS }) => AUTH_MODE !== "required" || CORS_ORIGINS !== "*",
  { path: ["CORS_ORIGINS"], when: () => true },
);

const WorkerSettings = ApiSettings.pick({
  DATABASE_URL: true,
  DATABASE_POOL: true,
  VALKEY_URL: true,
  LOG_LEVEL: true,
}).extend({
  WORKER_JOBS: wholeNumber(1, 64).default(4),
  JOB_LEASE_SECONDS: wholeNumber(5, 600).default(30),
  TRACE_STORAGE_MAX_MB: wholeNumber(100, 1_000_000).default(10_000),
  AUDIT_TEMPERATURES: temperatures.prefault(USUAL_TEMPERATURES),
  AUDIT_TOLERANCE_PERCENT: z.string().regex(/^\d{1,3}(?:\.\d{1,2})?$/)
    .refine((text) => Number(text) <= 100).default("2"),
  AUDIT_QUIET_HOURS: quietHours.optional().transform((hours) => hours ?? []),
});

/** By what a canary tells clients apart; a header's name is in lower case. */
export type CanaryBy = "client" | "address" | "request" | { readonly header: string };

const canaryBy = z.union([
  z.enum(["client", "address", "request"]),
  z.string().regex(/^header +[\w!#$%&'*+.^`|~-]{1,64}$/)
    .transform((text) => ({ header: text.replace(/^header +/, "").toLowerCase() })),
]);

/** A server to pass requests on to. With a path it would be unclear what becomes of a request's own. */
const serverUrl = urlOf("http:").refine((text) => {
  const url = URL.parse(text);
  return url?.href === `${url?.origin}/`;
}).transform((text) => new URL(text).origin);

const GatewaySettings = ApiSettings.pick({
  HOST: true,
  DATABASE_URL: true,
  TRUSTED_PROXIES: true,
  LOG_LEVEL: true,
}).extend({
  GATEWAY_PORT: wholeNumber(0, 65_535).default(8080),
  GATEWAY_ADMIN_PORT: wholeNumber(0, 65_535).default(8081),
  // Loopback whatever HOST says: who reaches it moves the traffic.
  GATEWAY_ADMIN_HOST: z.string().min(1).default("127.0.0.1"),
  LEGACY_URL: serverUrl,
  SERVICE_URL: serverUrl,
  GATEWAY_TOKEN: z.string().regex(/^\w{16,}$/),
  DRY_RUN_SECRET: dryRunSecret,
  // No less than what the old server takes: a body that it answers must get through.
  GATEWAY_BODY_LIMIT: wholeNumber(102_400, 104_857_600).default(1_048_576),
  UPSTREAM_TIMEOUT_SECONDS: wholeNumber(1, 600).default(30),
  CANARY_BY: canaryBy.default("client"),
});

// Both sides being one server, or the two ports being one, is a slip that would show late.
const CheckedGatewaySettings = GatewaySettings
  .refine(({ LEGACY_URL, SERVICE_URL }) => LEGACY_URL !== SERVICE_URL, { path: ["SERVICE_URL"] })
  .refine(
    ({ GATEWAY_PORT, GATEWAY_ADMIN_PORT }) =>
      GATEWAY_PORT === 0 || GATEWAY_PORT !== GATEWAY_ADMIN_PORT,
    { path: ["GATEWAY_ADMIN_PORT"] },
  );

const MigrateSettings = ApiSettings.pick({ DATABASE_URL: true });
const KeysSettings = ApiSettings.pick({ JWT_KEYS_FILE: true });
const JobsSettings = ApiSettings.pick({ DATABASE_URL: true });
const CutoverSettings = ApiSettings.pick({ DATABASE_URL: true });
const ParitySettings = z.object({
  BASE: urlOf("http:", "https:").optional(),
  DATABASE_URL: databaseUrl.optional(),
  DRY_RUN_SECRET: z.string().min(32).optional(),
  PARITY_TOKEN: z.string().regex(/^[\w.~+/-]+=*$/).optional(),
});
const ProbeSettings = CutoverSettings.extend({ GATEWAY_URL: serverUrl });
const CalibrateSettings = CutoverSettings.extend({ LEGACY_URL: serverUrl });
const UserSettings = ApiSettings.pick({ DATABASE_URL: true, VALKEY_URL: true });

/** A start that the settings forbid; the message names every setting that is missing or broken. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/**
 * The settings of the API.
 * @throws {ConfigError} naming every setting that is missing or broken
 */
export function readConfig(environment: Environment): Config {
  return parse(CheckedApiSettings, environment);
}

/** Everything that the worker process can be told. */
export type WorkerConfig = Readonly<z.output<typeof WorkerSettings>>;

/**
 * The settings of the worker.
 * @throws {ConfigError} naming every setting that is missing or broken
 */
export function readWorkerConfig(environment: Environment): WorkerConfig {
  return parse(WorkerSettings, environment);
}

/** Everything that the gateway process can be told. */
export type GatewayConfig = Readonly<z.output<typeof GatewaySettings>>;

/**
 * The settings of the gateway.
 * @throws {ConfigError} naming every setting that is missing or broken
 */
export function readGatewayConfig(environment: Environment): GatewayConfig {
  return parse(CheckedGatewaySettings, environment);
}

/**
 * The settings of `deno task jobs`.
 * @throws {ConfigError} when `DATABASE_URL` is missing or broken
 */
export function readJobsConfig(environment: Environment): Readonly<z.output<typeof JobsSettings>> {
  return parse(JobsSettings, environment);
}

/**
 * The settings of `deno task cutover`.
 * @throws {ConfigError} when `DATABASE_URL` is missing or broken
 */
export function readCutoverConfig(
  environment: Environment,
): Readonly<z.output<typeof CutoverSettings>> {
  return parse(CutoverSettings, environment);
}

/**
 * The settings of `deno task migrate`.
 * @throws {ConfigError} when `DATABASE_URL` is missing or broken
 */
export function readMigrateConfig(
  environment: Environment,
): Readonly<z.output<typeof MigrateSettings>> {
  return parse(MigrateSettings, environment);
}

/**
 * The settings of `deno task keys`.
 * @throws {ConfigError} when `JWT_KEYS_FILE` is missing
 */
export function readKeysConfig(environment: Environment): Readonly<z.output<typeof KeysSettings>> {
  return parse(KeysSettings, environment);
}

/**
 * The settings of `deno task user`.
 * @throws {ConfigError} naming every setting that is missing or broken
 */
export function readUserConfig(environment: Environment): Readonly<z.output<typeof UserSettings>> {
  return parse(UserSettings, environment);
}

/**
 * The settings of `deno task parity`; which of them a command needs, it says itself.
 * @throws {ConfigError} naming every setting that is broken
 */
export function readParityConfig(
  environment: Environment,
): Readonly<z.output<typeof ParitySettings>> {
  return parse(ParitySettings, environment);
}

/**
 * The settings of `deno task cutover probe`.
 * @throws {ConfigError} naming every setting that is missing or broken
 */
export function readProbeConfig(
  environment: Environment,
): Readonly<z.output<typeof ProbeSettings>> {
  return parse(ProbeSettings, environment);
}

/**
 * The settings of `deno task cutover calibrate`.
 * @throws {ConfigError} naming every setting that is missing or broken
 */
export function readCalibrateConfig(
  environment: Environment,
): Readonly<z.output<typeof CalibrateSettings>> {
  return parse(CalibrateSettings, environment);
}

function parse<S extends z.ZodObject>(schema: S, environment: Environment): Readonly<z.output<S>> {
  // An empty line in an env file means "not set", not "set to nothing".
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const result = schema.safeParse(set);
  if (result.success) return Object.freeze(result.data);
  const names = new Set(result.error.issues.map((issue) => String(issue.path[0])));
  const mistakes = [...names].map((name) => `  ${name} ${mistake(name, set[name])}`);
  throw new ConfigError(`These settings need a look:\n${mistakes.join("\n")}`);
}

function mistake(name: string, value: string | undefined): string {
  const expected = WHAT_IS_EXPECTED[name] ?? "a valid value";
  // The value itself stays out of the message: a database address holds a password.
  return value === undefined ? `is missing: give ${expected}` : `is broken: give ${expected}`;
}
