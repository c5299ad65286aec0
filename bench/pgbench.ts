/**
 * PostgreSQL alone: pgbench with exactly the statements that Lotline executes.
 *
 * @module
 */

import { join } from "node:path";
import { insertRow } from "../db/insert.ts";
import { FIND_TRACES, LOT_COLUMNS } from "../db/lots.ts";
import type { Rival } from "./contender.ts";
import { numberLots } from "./plant.ts";
import { findProgram, type Program } from "./program.ts";
import { quantile } from "./quantile.ts";
import type { Place } from "./servers.ts";
import type { Load } from "./wrk.ts";

/**
 * As many connections as each server has: with more, one write to disk would store more lots, which
 * no server of ten connections can reach.
 */
const CLIENTS = 10;

export const PGBENCH: Program = {
  name: "pgbench",
  title: "PostgreSQL's own benchmark pgbench",
  packages: ["postgresql"],
  asked: true,
};

/** Prepares the database; undefined without pgbench on this machine. */
export async function startPgbench(
  { databaseUrl, folder }: Place,
  say: (line: string) => void,
): Promise<Rival | undefined> {
  const program = await findProgram(PGBENCH, say);
  if (program === undefined) return undefined;
  const scripts: Readonly<Record<string, string>> = {
    trace: traceScript(await numberLots(databaseUrl)),
    lot: await lotScript(),
  };
  return {
    async load(workload, seconds) {
      const file = join(folder, `${workload}.sql`);
      await Deno.writeTextFile(file, scripts[workload] ?? "");
      return await runPgbench({ program, databaseUrl, file, seconds });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Lotline's trace of a random lot, among lots that are called 1 to `lots`. */
export function traceScript(lots: number): string {
  return `\\set lot_code random(1, ${lots})\n${
    FIND_TRACES.replace("$1::text::text[]", "array[:lot_code::text]")
  };\n`;
}

const LOT_TYPE = "RAW";
const METADATA = '{"supplier": "Duna Hús Kft.", "batch": "DH-4411", "material": "beef, bone in"}';

// Each connection selects its references once. If all had the same, they would queue for the locks
// of the same rows.
const REFERENCES = `\\if :is_new
select (select id from production_runs order by random() limit 1) as production_run_id,
  (select id from phases order by random() limit 1) as phase_id,
  (select id from users order by random() limit 1) as operator_id \\gset
\\set is_new 0
\\endif
`;

/** Lotline's insert of a lot with a new code and all that the workload `lot` sends. */
export async function lotScript(): Promise<string> {
  const names = ["lot_code", "lot_type", "production_run_id", "phase_id", "operator_id"]
    .concat("weight_kg", "temperature_c", "metadata");
  // Each value is the name of the variable that pgbench inserts there.
  const values = Object.fromEntries(names.map((name) => [name, `:${name}`]));
  let statement = "";
  await insertRow(
    ({ text, parameters }) => {
      statement = text.replace(/\$(\d+)/g, (_, number) => String(parameters[Number(number) - 1]));
      // Nothing is stored; its row isn't read.
      return Promise.resolve([{} as never]);
    },
    "lots",
    LOT_COLUMNS,
    values,
  );
  return `${REFERENCES}\\set lot_code random(1000000, 9000000000000000000)
\\set weight_kg random(5, 600)
\\set temperature_c random(-20, 4)
${statement};
`;
}

async function runPgbench({ program, databaseUrl, file, seconds }: {
  program: string;
  databaseUrl: string;
  file: string;
  seconds: number;
}): Promise<Load> {
  const variables = { is_new: "1", lot_type: LOT_TYPE, metadata: METADATA };
  const log = `${file}.log`;
  const { stdout, stderr, success } = await new Deno.Command(program, {
    args: ["--no-vacuum", "--protocol=prepared", `--client=${CLIENTS}`, `--time=${seconds}`]
      .concat(`--file=${file}`, "--log", `--log-prefix=${log}`)
      .concat(Object.entries(variables).flatMap(([name, value]) => ["-D", `${name}=${value}`]))
      .concat(databaseUrl),
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`pgbench failed: ${new TextDecoder().decode(stderr)}${said}`);
  return loadOf(said, await takeLog(log));
}

/** Reads the log of the one thread, whose name ends in the process's number, and removes it. */
async function takeLog(prefix: string): Promise<string> {
  const folder = join(prefix, "..");
  for await (const { name } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (!path.startsWith(prefix)) continue;
    const text = await Deno.readTextFile(path);
    await Deno.remove(path);
    return text;
  }
  throw new Error("pgbench wrote no log");
}

/**
 * The result of pgbench's summary and its log of every transaction. The third figure of a log line
 * is the duration in µs.
 *
 * @throws Error without a number of transactions
 */
export function loadOf(said: string, log: string): Load {
  const figure = (pattern: RegExp) => {
    const [, value] = pattern.exec(said) ?? [];
    if (value === undefined) throw new Error(`pgbench said something else: ${said}`);
    return Number(value);
  };
  const requests = figure(/^number of transactions actually processed: (\d+)/m);
  const perSecond = figure(/^tps = ([\d.]+) \(without initial connection time\)/m);
  const ms = log.trim().split("\n").map((line) => Number(line.split(" ")[2]) / 1_000);
  return {
    requests,
    seconds: requests / perSecond,
    p50Ms: quantile(ms, 0.5),
    p99Ms: quantile(ms, 0.99),
    refused: figure(/^number of failed transactions: (\d+)/m),
    broken: 0,
  };
}
