import ipaddr from "ipaddr.js";
import { z } from "zod";
import { parseValkeyAddress } from "./cache/address.ts";
import { AddressError, parseAddress, withPooler } from "./db/address.ts";
import { readSecretFiles } from "./secret_files.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Settings are missing or invalid; the message names each of them. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/**
 * Parses the settings of a process and freezes them.
 *
 * The schema has one field per setting. The field's `.meta` is the outermost call: `description`
 * completes "expected …", `formerly` is the setting's name in the last release. An old name is
 * accepted for one release, and `warn` gets one line that names the new name. `secret: true` says
 * that the value is one: it may be in a file, which the setting of the same name with `_FILE` names.
 *
 * @throws {ConfigError} names every setting that is missing, invalid, in a file that can't be used,
 * or set to two values by its two names
 */
export function readSettings<S extends z.ZodObject>(
  schema: S,
  environment: Environment,
  warn: (line: string) => void = console.warn,
): Readonly<z.output<S>> {
  const { settings, mistakes } = parseSettings(schema, environment, warn);
  if (settings !== undefined && mistakes.length === 0) return Object.freeze(settings);
  throw new ConfigError(["Invalid settings:", ...mistakes].join("\n  "));
}

/** The settings, undefined when one is invalid, and a sentence about each mistake. */
export function parseSettings<S extends z.ZodObject>(
  schema: S,
  environment: Environment,
  warn: (line: string) => void,
): { readonly settings: z.output<S> | undefined; readonly mistakes: readonly string[] } {
  const secrets = readSecretFiles(schema, environment);
  // An empty value in an env file means "not set".
  const valueOf = (name: string) => secrets.environment[name] || undefined;
  const settings = Object.entries(schema.shape).map(([name, field]) => {
    const meta = z.globalRegistry.get(field);
    const formerly = String(meta?.formerly ?? "");
    const [current, old] = [valueOf(name), valueOf(formerly)];
    if (old !== undefined) {
      warn(`${formerly} is now named ${name}; the next release ignores ${formerly}`);
    }
    const isAmbiguous = current !== undefined && old !== undefined && current !== old;
    return { name, formerly, expected: meta?.description, value: current ?? old, isAmbiguous };
  });
  const result = schema.safeParse(
    Object.fromEntries(
      settings.flatMap(({ name, value }) => value === undefined ? [] : [[name, value]]),
    ),
  );
  const issues = new Map(result.error?.issues.map((issue) => [issue.path[0], issue]));
  // Mistakes do not show the value: a database URL contains a password.
  const mistakes = settings.flatMap(({ name, formerly, expected, value, isAmbiguous }) => {
    const unusable = secrets.mistakes.get(name);
    if (unusable !== undefined) return unusable;
    if (isAmbiguous) return `${name} differs from ${formerly}, its old name: set ${name} alone`;
    const issue = issues.get(name);
    if (issue === undefined) return [];
    if (value === undefined) return `${name} is missing: expected ${expected}`;
    const reason = issue.code === "custom" ? issue.params?.reason : undefined;
    const file = secrets.files.get(name);
    const source = file === undefined ? "" : ` (it was read from ${file})`;
    return `${name} is invalid: ${reason ?? `expected ${expected}`}${source}`;
  });
  return { settings: result.data && withPoolerInAddress(result.data), mistakes };
}

/** Threads and connections get the address alone, so it says whether a pooler is before the database. */
function withPoolerInAddress<Settings extends Record<string, unknown>>(
  settings: Settings,
): Settings {
  const { DATABASE_URL: url, DATABASE_POOLER: pooler, DATABASE_REPLICA_URL: replica } =
    settings as Partial<
      Pick<
        z.output<typeof SharedSettings>,
        "DATABASE_URL" | "DATABASE_POOLER" | "DATABASE_REPLICA_URL"
      >
    >;
  return {
    ...settings,
    ...(url !== undefined && pooler !== undefined && { DATABASE_URL: withPooler(url, pooler) }),
    // DATABASE_POOLER is about DATABASE_URL: a pooler before the primary says nothing of the replica.
    ...(replica !== undefined && { DATABASE_REPLICA_URL: withPooler(replica, "auto") }),
  };
}

export const wholeNumber = (min: number, max: number) =>
  z.string().regex(/^\d+$/).transform(Number).refine((n) => n >= min && n <= max);

/** A URL with one of these protocols, such as `http:`. */
export const urlOf = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol));

const listOf = (isItem: (text: string) => boolean) =>
  z.string().transform((text) => text.split(",").map((item) => item.trim()))
    .refine((items) => items.every(isItem));

/** An address as text: threads and commands receive it so. A mistake has the parser's sentence. */
const addressOf = (parse: (text: string) => unknown) =>
  z.string().superRefine((text, context) => {
    try {
      parse(text);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      context.addIssue({ code: "custom", params: { reason: error.message } });
    }
  });

export const databaseUrl = addressOf(parseAddress);

/** Whether it is a name of a zone. PostgreSQL reads an offset such as +02:00 with the opposite sign. */
function isTimeZone(name: string): boolean {
  if (!/^[a-z]/i.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export const bearerSecret = z.string().regex(/^\w{16,}$/);

/** API and gateway share the secret of dry runs. */
export const dryRunSecret = z.string().min(32);

/** Settings that several processes share; each process picks its own. */
export const SharedSettings = z.object({
  HOST: z.string().min(1).default("127.0.0.1").meta({
    description: "the address to listen on, such as 127.0.0.1",
  }),
  DATABASE_URL: databaseUrl.meta({
    description: "a PostgreSQL address, such as postgres://user:password@localhost:5432/plant",
    secret: true,
  }),
  DATABASE_POOLER: z.enum(["auto", "none", "transaction"]).default("auto").meta({
    description: "auto, none or transaction",
  }),
  DATABASE_DIRECT_URL: databaseUrl.optional().meta({
    description:
      "the address of PostgreSQL itself, when DATABASE_URL leads through a pooler, or nothing",
    secret: true,
  }),
  DATABASE_REPLICA_URL: databaseUrl.optional().meta({
    description: "the address of a streaming replica that deep traces and audits read, or nothing",
    secret: true,
  }),
  DATABASE_POOL_MAX: wholeNumber(1, 200).default(10).meta({
    description: "a number of connections from 1 to 200",
    formerly: "DATABASE_POOL",
  }),
  VALKEY_URL: addressOf(parseValkeyAddress).optional().meta({
    description: "the address of Valkey, such as redis://localhost:6379, or nothing",
    secret: true,
  }),
  VALKEY_CA_FILE: z.string().min(1).optional().meta({
    description:
      "the path of the certificate that Valkey's certificate is checked with, or nothing",
  }),
  TRUSTED_PROXIES: listOf((text) => ipaddr.isValid(text) || ipaddr.isValidCIDR(text)).default([])
    .meta({ description: "addresses or networks with commas between them, such as 10.0.0.0/8" }),
  METRICS_HOST: z.string().min(1).default("127.0.0.1").meta({
    description: "the address that the metrics are served on, such as 127.0.0.1",
  }),
  METRICS_PORT: wholeNumber(0, 65_535).optional().meta({
    description: "a port from 0 (any free one) to 65535 that the metrics are served on, or nothing",
  }),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info").meta({
    description: "debug, info, warn or error",
  }),
  TIME_ZONE: z.string().refine(isTimeZone).optional().meta({
    description: "the name of a time zone, such as Europe/Berlin or UTC, or nothing",
  }),
});

/** The longest lifetime of a login token in minutes: one shift. */
export const MAX_TOKEN_TTL_MINUTES = 720;

/** Any origin (`*` or `any-site`), or the listed origins. */
const corsOrigins = z.union([
  z.enum(["*", "any-site"]),
  z.literal("none").transform((): string[] => []),
  listOf((text) => /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text),
]);

export const ApiSettings = SharedSettings.omit({ DATABASE_DIRECT_URL: true }).extend({
  PORT: wholeNumber(0, 65_535).default(8000).meta({
    description: "a port from 0 (any free one) to 65535",
  }),
  REUSE_PORT: z.enum(["0", "1"]).default("0").transform((text) => text === "1").meta({
    description: "0 or 1",
  }),
  DRAIN_SECONDS: wholeNumber(0, 120).default(0).meta({
    description: "for how long the API serves on after SIGTERM while /readyz is 503, from 0 to 120",
  }),
  AUTH_MODE: z.enum(["legacy", "required"]).meta({
    description: '"legacy" or "required"; it has no default on purpose',
  }),
  JWT_KEYS_FILE: z.string().min(1).meta({
    description: "the path of the key file that `deno task keys create` makes",
  }),
  TOKEN_TTL_MINUTES: wholeNumber(1, MAX_TOKEN_TTL_MINUTES).default(30).meta({
    description: `a whole number of minutes from 1 to ${MAX_TOKEN_TTL_MINUTES}`,
    formerly: "TOKEN_MINUTES",
  }),
  CORS_ORIGINS: corsOrigins.default("*").meta({
    description:
      '"none", or origins with commas between them, such as https://plant.example; "*" is for ' +
      'AUTH_MODE=legacy alone, with "required" write "any-site" if every site may call',
  }),
  LOGIN_MAX_FAILURES_PER_ACCOUNT: wholeNumber(1, 1_000).default(10).meta({
    description: "a number of failed logins from 1 to 1000",
    formerly: "LOGIN_TRIES_PER_ACCOUNT",
  }),
  LOGIN_MAX_FAILURES_PER_ADDRESS: wholeNumber(1, 100_000).default(100).meta({
    description: "a number of failed logins from 1 to 100000",
    formerly: "LOGIN_TRIES_PER_ADDRESS",
  }),
  METRICS_TOKEN: bearerSecret.optional().meta({
    description: "a secret of at least 16 letters and digits, or nothing",
    secret: true,
  }),
  DRY_RUN_SECRET: dryRunSecret.optional().meta({
    description: "a secret of at least 32 characters, the same as the gateway's, or nothing",
    secret: true,
  }),
  BODY_LIMIT: wholeNumber(1024, 10_485_760).default(102_400).meta({
    description: "a number of bytes from 1024 to 10485760",
  }),
}).refine(
  // `required` keeps tokens from the scripts of other sites. Allowing any site then needs an
  // explicit value, neither the default nor a setting left from `legacy`.
  ({ AUTH_MODE, CORS_ORIGINS }) => AUTH_MODE !== "required" || CORS_ORIGINS !== "*",
  { path: ["CORS_ORIGINS"], when: () => true },
);

export type Config = Readonly<z.output<typeof ApiSettings>>;
