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

const databaseUrl = urlOf("postgres:", "postgresql:");

const WHAT_IS_EXPECTED: Record<string, string> = {
  HOST: "the address to listen on, such as 127.0.0.1",
  PORT: "a port from 0 (any free one) to 65535",
  DATABASE_URL: "a PostgreSQL address, such as postgres://user:password@localhost:5432/plant",
  DATABASE_POOL: "a number of connections from 1 to 200",
  VALKEY_URL: "the address of Valkey, such as redis://localhost:6379, or nothing at all",
  AUTH_MODE: '"legacy"; it has no default on purpose',
  JWT_KEYS_FILE: "the path of the key file that `deno task keys create` makes",
  BODY_LIMIT: "a number of bytes from 1024 to 10485760",
  LOG_LEVEL: "debug, info, warn or error",
};

const ApiSettings = z.object({
  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: wholeNumber(0, 65_535).default(8000),
  DATABASE_URL: databaseUrl,
  DATABASE_POOL: wholeNumber(1, 200).default(10),
  VALKEY_URL: urlOf("redis:", "rediss:", "valkey:").optional(),
  AUTH_MODE: z.enum(["legacy"]),
  JWT_KEYS_FILE: z.string().min(1),
  BODY_LIMIT: wholeNumber(1024, 10_485_760).default(102_400),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

const MigrateSettings = ApiSettings.pick({ DATABASE_URL: true });
const KeysSettings = ApiSettings.pick({ JWT_KEYS_FILE: true });
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
  return parse(ApiSettings, environment);
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
  if (name === "AUTH_MODE" && value === "required") {
    return 'is "required", which this version cannot do yet: passwords, bearer tokens and roles ' +
      "are not built. Set AUTH_MODE=legacy, knowing that every route is then open to anyone.";
  }
  const expected = WHAT_IS_EXPECTED[name] ?? "a valid value";
  // The value itself stays out of the message: a database address holds a password.
  return value === undefined ? `is missing: give ${expected}` : `is broken: give ${expected}`;
}
