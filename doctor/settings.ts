import { z } from "zod";
import { ApiSettings, type Environment, parseSettings } from "../config.ts";
import { parseAddress } from "../db/address.ts";
import { directAddress } from "../db/direct_address.ts";
import type { Finding } from "../db/readiness_checks.ts";
import { JobsSettings, WorkerSettings } from "../jobs/config.ts";
import { readSecretFiles } from "../secret_files.ts";
import { failure, note, ok } from "./findings.ts";

/** The settings that checks use, with the secrets of files; undefined: not set, or invalid. */
export type Settings = ReturnType<typeof readValid>;

/** The names that the doctor reads: those of the API and of the worker. */
export const DOCTOR_SETTINGS = [ApiSettings, WorkerSettings] as const;

const ALL_SETTINGS = z.object({ ...ApiSettings.shape, ...WorkerSettings.shape });

const CHECK = "settings";
const ADVICE = ".env.example explains each setting";

/** Reads the valid settings, and finds the mistakes in the others. */
export function readSettingsAndMistakes(
  environment: Environment,
): { readonly settings: Settings; readonly findings: readonly Finding[] } {
  const secrets = readSecretFiles(ALL_SETTINGS, environment);
  const settings = readValid(secrets.environment);
  const renamed = new Set<string>();
  const schemas = settings.isOfApi ? DOCTOR_SETTINGS : [WorkerSettings];
  const mistakes = new Set(
    schemas.flatMap((schema) =>
      parseSettings<z.ZodObject>(schema, environment, (line) => renamed.add(line)).mistakes
    ),
  );
  const findings = [
    ...[...mistakes].map((sentence) => failure(CHECK, sentence, ADVICE)),
    ...[...secrets.files].map(([name, path]) => ok(CHECK, `${name} is read from ${path}`)),
    ...[...renamed].map((line) => note(CHECK, line, "use the new name")),
    ...(settings.isOfApi ? [] : [
      note(
        CHECK,
        "AUTH_MODE is not set, so this is a worker's set-up, and the API's settings are not checked",
        "run the doctor with the API's settings too",
      ),
    ]),
  ];
  if (mistakes.size === 0) findings.unshift(ok(CHECK, "The settings are valid"));
  return { settings, findings };
}

function readValid(environment: Environment) {
  const { shape } = ApiSettings;
  const valueOf = <S extends z.ZodType>(name: string, schema: S): z.output<S> | undefined =>
    schema.safeParse(environment[name] || undefined).data;
  // The image sets JWT_KEYS_FILE for a worker, too, which has no such file.
  const isOfApi = Boolean(environment.AUTH_MODE) || isFile(environment.JWT_KEYS_FILE);
  const databaseUrl = databaseUrlOf(environment);
  const directUrl = valueOf("DATABASE_DIRECT_URL", WorkerSettings.shape.DATABASE_DIRECT_URL);
  return {
    /** Whether they are an API's, otherwise a worker's. */
    isOfApi,
    databaseUrl,
    directUrl,
    /** Each with its setting. */
    addresses: [
      { setting: "DATABASE_URL", url: databaseUrl },
      { setting: "DATABASE_DIRECT_URL", url: directUrl },
    ].flatMap(({ setting, url }) =>
      url === undefined ? [] : [{ setting, address: parseAddress(url) }]
    ),
    /** The address that the process uses: a worker the direct one. */
    own: databaseUrl === undefined
      ? undefined
      : isOfApi
      ? directAddress({ DATABASE_URL: databaseUrl })
      : directAddress({ DATABASE_URL: databaseUrl, DATABASE_DIRECT_URL: directUrl }),
    poolerSetting: valueOf("DATABASE_POOLER", shape.DATABASE_POOLER) ?? "auto",
    hasValkey: Boolean(environment.VALKEY_URL),
    valkeyUrl: valueOf("VALKEY_URL", shape.VALKEY_URL),
    valkeyCaFile: valueOf("VALKEY_CA_FILE", shape.VALKEY_CA_FILE),
    keyFile: isOfApi ? valueOf("JWT_KEYS_FILE", shape.JWT_KEYS_FILE) : undefined,
    timeZone: valueOf("TIME_ZONE", shape.TIME_ZONE),
    quietHours: valueOf("AUDIT_QUIET_HOURS", WorkerSettings.shape.AUDIT_QUIET_HOURS) ?? [],
  };
}

function isFile(path: string | undefined): boolean {
  try {
    return Boolean(path) && Deno.statSync(path ?? "").isFile;
  } catch {
    return false;
  }
}

/** The address as the other programs get it, also when another setting is invalid. */
function databaseUrlOf(
  { DATABASE_URL, DATABASE_POOLER }: Environment,
): string | undefined {
  for (const pooler of [DATABASE_POOLER, undefined]) {
    const { settings } = parseSettings(
      JobsSettings.pick({ DATABASE_URL: true, DATABASE_POOLER: true }),
      { DATABASE_URL, DATABASE_POOLER: pooler },
      () => {},
    );
    if (settings !== undefined) return settings.DATABASE_URL;
  }
  return undefined;
}
