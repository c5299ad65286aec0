import { deepStrictEqual, ok } from "node:assert/strict";
import type { z } from "zod";
import { globalRegistry } from "zod";
import project from "../deno.json" with { type: "json" };
import { fileSettingOf, secretNames } from "../secret_files.ts";
import { taskOutput } from "./task_output.ts";

type Task = keyof typeof project.tasks;

/** The setting's name in the last release, if it was another. */
function oldNameOf(field: z.core.$ZodType): string | undefined {
  const formerly = globalRegistry.get(field)?.formerly;
  return formerly === undefined ? undefined : String(formerly);
}

/** The old names of a schema's settings, by the new ones. */
export function oldNames(schema: z.ZodObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(schema.shape).flatMap(([name, field]) => {
      const old = oldNameOf(field);
      return old === undefined ? [] : [[name, old]];
    }),
  );
}

/**
 * The names that these schemas read from the environment, sorted and unique: those of settings, their
 * old ones, and those of the files that secrets may be in.
 */
export function settingNames(
  schemas: readonly z.ZodObject[],
  { currentOnly = false }: { readonly currentOnly?: boolean } = {},
): string[] {
  const names = schemas.flatMap((schema) => [
    ...Object.keys(schema.shape),
    ...(currentOnly
      ? []
      : [...Object.values(oldNames(schema)), ...secretNames(schema).map(fileSettingOf)]),
  ]);
  return [...new Set(names)].sort();
}

/** The names that a task may read from the environment, sorted. */
export function allowedEnvironment(task: Task): string[] {
  const entry = project.tasks[task];
  const [, names = ""] = /--allow-env=(\S+)/.exec("command" in entry ? entry.command : "") ?? [];
  return names.split(",").sort();
}

/**
 * The settings of an env file whose every setting has a comment right above it.
 * @throws Error when one has none
 */
export function envExample(text: string): Record<string, string> {
  const explained = [...text.matchAll(/^(?:# .+\n)+([A-Z_]+)=(.*)$/gm)];
  if (explained.length !== [...text.matchAll(/^[A-Z_]+=/gm)].length) {
    throw new Error("A setting has no explanation");
  }
  return Object.fromEntries(explained.map(([, name, value]) => [name, value ?? ""]));
}

/**
 * Declares the tests that a task with invalid settings ends with this code and one message about
 * all of them: missing ones, unknown values, old names and both names.
 */
export function refusesBadSettings(
  words: readonly [Task, ...string[]],
  code: number,
  missing: readonly string[],
  schema: z.ZodObject,
): void {
  const task = words.join(" ");
  const none = Object.fromEntries(settingNames([schema]).map((name) => [name, ""]));
  Deno.test(`deno task ${task} with empty settings names the required ones`, async () => {
    const failed = await failedStart(words, none);
    deepStrictEqual({ ...failed, lines: failed.lines.map(withoutReason) }, {
      code,
      output: "",
      lines: ["Invalid settings", ...missing.map((name) => `  ${name} is missing`)],
    });
  });

  const renamed = Object.entries(oldNames(schema));
  const given = missing.filter((name) => schema.shape[name] !== undefined && name.endsWith("_URL"));
  if (given.length === 0 && renamed.length === 0) return;
  Deno.test(`deno task ${task} refuses unknown values and warns once of each old name`, async () => {
    const unknown = Object.fromEntries(given.map((name) => [name, "unknown://value"]));
    const old = Object.fromEntries(renamed.map(([, old]) => [old, "unknown"]));
    const failed = await failedStart(words, { ...none, ...unknown, ...old });
    const warnings = renamed.map(([name, old]) =>
      `${old} is now named ${name}; the next release ignores ${old}`
    );
    deepStrictEqual([failed.code, failed.output], [code, ""]);
    deepStrictEqual(failed.lines.slice(0, warnings.length), warnings);
    const mistakes = failed.lines.slice(warnings.length).map(withoutReason);
    for (const name of [...given, ...renamed.map(([name]) => name)]) {
      ok(mistakes.includes(`  ${name} is invalid`), `${name}: ${mistakes.join("\n")}`);
    }
    ok(!failed.lines.slice(warnings.length).some((line) => line.includes("unknown")));
  });
  if (renamed.length === 0) return;
  Deno.test(`deno task ${task} refuses two values of one setting by its two names`, async () => {
    const both = Object.fromEntries(renamed.flatMap(([name, old]) => [[name, "5"], [old, "6"]]));
    const { lines } = await failedStart(words, { ...none, ...both });
    for (const [name, old] of renamed) {
      ok(lines.includes(`  ${name} differs from ${old}, its old name: set ${name} alone`), name);
    }
  });
}

/** Mistaken addresses by setting, each with what is wrong. */
const BAD_ADDRESSES: readonly Readonly<Record<string, readonly [address: string, why: string]>>[] =
  [
    {
      DATABASE_URL: [
        "postgres://u:hunter2%@h/d",
        "the password has a % without two hexadecimal digits behind it: write it as %25",
      ],
      VALKEY_URL: [
        "redis://:hunter2%@h",
        "the password has a % without two hexadecimal digits behind it: write it as %25",
      ],
    },
    {
      DATABASE_URL: [
        "postgres://u:hunter2@h/d?statement_timeout=0",
        "statement_timeout is a setting of Lotline's own: remove it",
      ],
      VALKEY_URL: [
        "redis-sentinel://:hunter2@h",
        "Sentinel is not supported: give the address of the primary, or of a proxy that leads to it",
      ],
    },
    {
      DATABASE_URL: [
        "postgres://u:hunter2@h1,h2/d?sslrootcert=/ca&sslmode=verify-full&port=1,2,3",
        "port has 3 numbers for 2 hosts",
      ],
      VALKEY_URL: [
        "redis://:hunter2@h/0?db=3",
        "db is not supported: an address of Valkey has no parameters",
      ],
    },
  ];

/**
 * Declares the test that a task with a mistaken address ends with this code and a sentence about each
 * of these settings, without stack and password. The task's other settings are valid.
 */
export function refusesBadAddresses(
  words: readonly [Task, ...string[]],
  code: number,
  names: readonly string[],
  others: Readonly<Record<string, string>> = {},
): void {
  Deno.test(`deno task ${words.join(" ")} says in a sentence what is wrong with an address`, async () => {
    for (const addresses of BAD_ADDRESSES) {
      const mistakes = names.map((name) => [name, ...addresses[name] ?? ["", ""]] as const);
      const env = Object.fromEntries(mistakes.map(([name, address]) => [name, address]));
      deepStrictEqual(await failedStart(words, { ...others, ...env }), {
        code,
        output: "",
        lines: [
          "Invalid settings:",
          ...mistakes.map(([name, , why]) => `  ${name} is invalid: ${why}`),
        ],
      });
    }
  });
}

/** A line of a refusal without the expected form. */
const withoutReason = (line: string) => line.split(":")[0];

/** Runs a task that can't start with these settings; returns its code, output and lines of errors. */
async function failedStart(words: readonly [Task, ...string[]], env: Record<string, string>) {
  const { code, output, error } = await taskOutput(words, env);
  return { code, output, lines: error.split("\n") };
}
