/**
 * Runs every workload against every contender in turn, and records the cost.
 *
 * @module
 */

import { join } from "node:path";
import type { Contender, Entry, Rival } from "./contender.ts";
import { withCosts } from "./costs.ts";
import { countRows, type PlantServer, startPlant } from "./plant.ts";
import { residentMb } from "./process_cost.ts";
import { type BenchRequest, requestLines, type Workload } from "./workloads.ts";
import { runWrk } from "./wrk.ts";

/** One contender under one workload for some seconds. */
export interface Run {
  readonly workload: string;
  readonly contender: string;
  /** From 1; in each round every contender had one turn. */
  readonly round: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the server process and its helpers, for 1,000 requests; NaN where there is no server. */
  readonly serverCpuSeconds: number;
  /** Of PostgreSQL's processes, for 1,000 requests. */
  readonly databaseCpuSeconds: number;
  /** Of the server process, at the end of the run; NaN where there is no server. */
  readonly residentMb: number;
  /**
   * The share of the machine, from 0 to 1, that neither server, database nor load generator used:
   * other programs did, or other machines of the same host.
   */
  readonly takenByOthers: number;
}

export interface MeasureOptions {
  readonly contenders: readonly Contender[];
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  /** How long a run takes, in whole seconds. */
  readonly seconds: number;
  /** The path of wrk. */
  readonly wrk: string;
  /** An existing folder for databases and logs; files in it stay. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

// Long enough for V8's compilers to have optimized the code in use.
const WARM_UP_SECONDS = 2;

/** A run in which some response was not the expected one: its figures mean nothing. */
export class WrongResponsesError extends Error {
  override name = "WrongResponsesError";
}

/**
 * Runs round after round, in each all contenders one after the other (A B C A B C …). So other load
 * on the machine affects all of them alike.
 *
 * @throws {WrongResponsesError} when a request got a wrong response or none
 */
export async function measure(options: MeasureOptions): Promise<Run[]> {
  await using stack = new AsyncDisposableStack();
  const { folder, say } = options;
  say("Starting PostgreSQL 17 and filling the demo plant");
  const server = stack.use(await startPlant(folder));
  const field: Entrant[] = [];
  for (const contender of options.contenders) {
    if (!options.workloads.some((workload) => takesPart(contender, workload))) continue;
    say(`Starting: ${contender.title}`);
    const place = {
      databaseUrl: await server.copy(contender.name),
      folder: join(folder, contender.name),
    };
    await Deno.mkdir(place.folder);
    const running = await contender.start(place, say);
    if (running === undefined) say(`Left out, since it can't run here: ${contender.title}`);
    else field.push({ contender, running: stack.use(running), databaseUrl: place.databaseUrl });
  }
  const runs: Run[] = [];
  for (const workload of options.workloads) {
    runs.push(...await measureWorkload(workload, field, server, options));
  }
  return runs;
}

/** A contender that runs. */
interface Entrant {
  readonly contender: Contender;
  readonly running: Entry | Rival;
  readonly databaseUrl: string;
}

async function measureWorkload(
  workload: Workload,
  field: readonly Entrant[],
  server: PlantServer,
  { rounds, seconds, wrk, folder, say }: MeasureOptions,
): Promise<Run[]> {
  const entrants = field.filter(({ contender }) => takesPart(contender, workload));
  const requests = workload.requests(server.plant);
  const requestFile = join(folder, `${workload.name}.requests`);
  await Deno.writeTextFile(requestFile, requestLines(requests));
  const load = (entrant: Entrant, seconds: number) =>
    rightly(
      workload,
      entrant,
      ({ running }) =>
        "load" in running ? running.load(workload.name, seconds) : runWrk({
          wrk,
          url: running.url,
          requestFile,
          label: crypto.randomUUID(),
          seconds,
        }),
    );

  for (const entrant of entrants) {
    await probe(workload, entrant, requests);
    await load(entrant, Math.min(WARM_UP_SECONDS, seconds));
  }
  const runs: Run[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const entrant of entrants) {
      say(`${workload.name}, round ${round} of ${rounds}: ${entrant.contender.title}`);
      await server.checkpoint();
      const { running } = entrant;
      const check = "prepare" in running ? await running.prepare?.(requests) : undefined;
      const serverPids = "pid" in running ? [running.pid, ...running.helpers ?? []] : [];
      const { result, costs } = await withCosts(
        { serverPids, databasePid: server.pid },
        () => load(entrant, seconds),
      );
      await check?.();
      const { requests: completed, seconds: duration, p50Ms, p99Ms } = result;
      runs.push({
        workload: workload.name,
        contender: entrant.contender.name,
        round,
        requests: completed,
        requestsPerSecond: completed / duration,
        p50Ms,
        p99Ms,
        serverCpuSeconds: "pid" in running ? costs.server * 1_000 / completed : NaN,
        databaseCpuSeconds: costs.database * 1_000 / completed,
        residentMb: "pid" in running ? await residentMb(running.pid) : NaN,
        takenByOthers: costs.others / costs.all,
      });
    }
  }
  return runs;
}

/** Sends the first request and checks its response closely, which wrk doesn't. */
async function probe(
  workload: Workload,
  { contender, running }: Entrant,
  [first]: readonly BenchRequest[],
): Promise<void> {
  if (first === undefined) throw new Error(`The workload ${workload.name} has no requests`);
  if ("load" in running) return;
  const { method, path, body } = first;
  const response = await fetch(running.url + path, {
    method,
    ...(body && {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body).replaceAll("UNIQUE", crypto.randomUUID()),
    }),
  });
  const text = await response.text();
  if (response.status === workload.status && text.startsWith("{")) return;
  throw new WrongResponsesError(
    `${contender.title} responded to ${method} ${path} with ${response.status} and not with ` +
      `${workload.status}: ${text.slice(0, 500)}`,
  );
}

/** Runs a load and refuses it unless every response was right and every row stored. */
async function rightly<T extends { requests: number; refused: number; broken: number }>(
  { name, stores }: Workload,
  entrant: Entrant,
  run: (entrant: Entrant) => Promise<T>,
): Promise<T> {
  const { contender, databaseUrl } = entrant;
  const count = async () => stores === undefined ? 0 : await countRows(databaseUrl, stores);
  const before = await count();
  const load = await run(entrant);
  const { requests, refused, broken } = load;
  const stored = await count() - before;
  const lost = stores === undefined ? 0 : Math.max(0, requests - stored);
  if (requests > 0 && refused === 0 && broken === 0 && lost === 0) return load;
  throw new WrongResponsesError(
    `WRONG RESPONSES: ${name} of ${contender.title}: of ${requests} responses ${refused} had a status ` +
      `of 400 or more, ${broken} requests had no response, ${lost} responses had stored nothing`,
  );
}

function takesPart({ only }: Contender, { name }: Workload): boolean {
  return only === undefined || only.includes(name);
}
