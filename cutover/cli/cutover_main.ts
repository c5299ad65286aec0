/**
 * `deno task cutover`: the gateway's routes, for an operator at a terminal. PostgreSQL is asked and told;
 * running gateways follow within a second. `probe` and `calibrate` ask servers besides.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { ConfigError, readSettings } from "../../config.ts";
import { connect } from "../../db/connect.ts";
import { sentenceOf } from "../../terminal.ts";
import { CutoverSettings } from "../config.ts";
import { calibrate } from "./calibrate.ts";
import { clear } from "./clear.ts";
import { type Command, RefusedError, type Typed, UsageError } from "./command.ts";
import { drop } from "./drop.ts";
import { history } from "./history.ts";
import { kill } from "./kill.ts";
import { limits } from "./limits.ts";
import { plan } from "./plan.ts";
import { probe } from "./probe.ts";
import { release } from "./release.ts";
import { rollback } from "./rollback.ts";
import { sample } from "./sample.ts";
import { set } from "./set.ts";
import { status } from "./status.ts";
import { verdicts } from "./verdicts.ts";
import { RouteRefusedError } from "../routes/route_rules.ts";

const COMMANDS: Record<string, Command> = {
  status,
  set,
  sample,
  rollback,
  clear,
  kill,
  release,
  history,
  verdicts,
  limits,
  plan,
  probe,
  calibrate,
  drop,
};

const USAGE = `usage: DATABASE_URL=… deno task cutover <command> [--json]
${
  Object.entries(COMMANDS).map(([name, { usage, does }]) =>
    `  ${`${name} ${usage}`.trim()}\n      ${does}`
  ).join("\n")
}
Exit status: 0 done, 1 refused or failed, 2 not used as above or settings missing.`;

try {
  await run(Deno.args);
} catch (error) {
  console.error(complaint(error));
  Deno.exit(error instanceof UsageError || error instanceof ConfigError ? 2 : 1);
}

async function run([name = "", ...args]: string[]): Promise<void> {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError();
  const { json, ...typed } = read(command, args);
  const environment = Deno.env.toObject();
  const { DATABASE_URL } = readSettings(command.settings ?? CutoverSettings, environment);
  const interrupted = new AbortController();
  if (command.isLong) {
    Deno.addSignalListener("SIGINT", () => {
      // Whoever says it twice doesn't want to wait.
      if (interrupted.signal.aborted) Deno.exit(130);
      interrupted.abort();
    });
  }
  const sql = connect({ url: DATABASE_URL, max: 1, name: "lotline-cutover" });
  try {
    const said = await command.run({
      sql,
      environment,
      tell: (line) => json ? console.error(line) : console.log(line),
      signal: interrupted.signal,
    }, typed);
    console.log(json ? JSON.stringify(said.json) : said.text);
  } finally {
    await sql.end({ timeout: 1 });
  }
  // The listener for the signal would keep the process.
  Deno.exit(0);
}

function read({ options }: Command, args: string[]): Typed & { readonly json: boolean } {
  try {
    const { values: { json, ...values }, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...options, json: { type: "boolean" } },
    });
    return { words: positionals, options: values, json: json === true };
  } catch (error) {
    throw new UsageError(sentenceOf(error));
  }
}

function complaint(error: unknown): string {
  if (error instanceof UsageError) return error.message || USAGE;
  const isSaid = error instanceof ConfigError || error instanceof RefusedError ||
    error instanceof RouteRefusedError;
  return isSaid ? error.message : `Not done: ${sentenceOf(error)}`;
}
