/**
 * Valkey alone: the upper bound for a cached response.
 *
 * @module
 */

import { basename, join } from "node:path";
import { createClient } from "redis";
import { connect } from "../db/connect.ts";
import { findTraces } from "../db/lots.ts";
import { startValkey } from "../dev/valkey.ts";
import type { Rival } from "./contender.ts";
import { findProgram } from "./program.ts";
import type { Place } from "./servers.ts";
import { median } from "./table.ts";
import { CONNECTIONS, type Load } from "./wrk.ts";

const KEY = "bench:answer";
/** The median size of a response is taken over this many lots. */
const SAMPLE = 200;
/** An assumed rate, in requests a second, for the first run on a machine. */
const FIRST_GUESS = 20_000;

/** Starts it and stores a response of median size; the load is one GET after the other. */
export async function startValkeyAlone(
  { databaseUrl, folder }: Place,
  say: (line: string) => void,
): Promise<Rival | undefined> {
  const valkey = await startValkey({ dir: join(folder, "valkey"), progress: say });
  if (valkey === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  stack.use(valkey);
  // Part of the server's package: valkey-benchmark or redis-benchmark.
  const name = basename(valkey.program).replace("-server", "-benchmark");
  const packages = [name.replace("-benchmark", "-tools")];
  const program = await findProgram({ name, title: "Valkey's own benchmark", packages }, say);
  if (program === undefined) return undefined;
  const client = await createClient({ url: valkey.url }).connect();
  await client.set(KEY, "x".repeat(await medianResponse(databaseUrl)));
  client.destroy();
  let perSecond = FIRST_GUESS;
  const parts = stack.move();
  return {
    pid: valkey.pid,
    // The program takes a number of requests, not a duration; the last run's rate determines it.
    async load(_workload, seconds) {
      const requests = Math.ceil(perSecond * seconds);
      const load = loadOf(await benchmark(program, valkey.port, requests), requests);
      perSecond = requests / load.seconds;
      return load;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function benchmark(program: string, port: number, requests: number): Promise<string> {
  const { stdout, stderr, success } = await new Deno.Command(program, {
    args: ["-p", String(port), "-c", String(CONNECTIONS), "-n", String(requests), "--csv"]
      .concat("GET", KEY),
    stdin: "null",
  }).output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/**
 * Parses valkey-benchmark's output with `--csv`: a line of names and one of figures.
 *
 * @throws Error when it has another form
 */
export function loadOf(csv: string, requests: number): Load {
  const [names = [], figures = []] = csv.trim().split("\n").map((line) =>
    line.split(",").map((cell) => cell.replaceAll('"', ""))
  );
  const figure = (name: string) => {
    const value = Number(figures[names.indexOf(name)]);
    if (Number.isNaN(value)) throw new Error(`Valkey's benchmark wrote no ${name}: ${csv}`);
    return value;
  };
  return {
    requests,
    seconds: requests / figure("rps"),
    p50Ms: figure("p50_latency_ms"),
    p99Ms: figure("p99_latency_ms"),
    refused: 0,
    broken: 0,
  };
}

/** The size of the response to a trace, in characters. */
async function medianResponse(databaseUrl: string): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const sql = stack.adopt(
    connect({ url: databaseUrl, max: 1, name: "lotline-bench" }),
    (sql) => sql.end({ timeout: 1 }),
  );
  const lots = await sql<{ lot_code: string }[]>`
    select lot_code from lots order by md5(lot_code) limit ${SAMPLE}`;
  const sizes = [];
  for (const { lot_code } of lots) {
    const traces = await findTraces(sql, [lot_code]);
    sizes.push(JSON.stringify(traces.get(lot_code)).length);
  }
  return Math.round(median(sizes));
}
