/**
 * Measures how many writes succeed when more come than a slow database can carry, and how soon all
 * succeed after that.
 *
 * @module
 */

import { connect } from "../db/connect.ts";
import { delay } from "../timing.ts";
import { withCosts } from "./costs.ts";
import { startPlant } from "./plant.ts";
import { startLotline } from "./servers.ts";
import type { Study } from "./study.ts";
import { inDigits, markdownTable, median } from "./table.ts";

const SECONDS = 8;
/** How long each row takes in PostgreSQL. */
const ROW_MS = 100;
/** Writes may have eight of the ten connections. */
const CARRIED = 8 * 1_000 / ROW_MS;
const TIMES = [1, 2, 5, 10] as const;
/** Requests are sent in steps, in ms. */
const STEP_MS = 10;
const TRACES_PER_SECOND = 20;

interface Run {
  readonly times: number;
  /** Writes a second with 201. */
  readonly succeeded: number;
  /** The median time of a 503, in ms; undefined without any. */
  readonly refusalMs: number | undefined;
  /** The shares of traces and health checks that are 200. */
  readonly traces: number;
  readonly health: number;
  /** From the moment that the database is quick to the first 201 of a new write, in ms. */
  readonly recoveryMs: number;
}

export const OVERLOAD: Study = {
  name: "overload",
  async run({ rounds, seconds = SECONDS, folder, say }) {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await startPlant(folder));
    const databaseUrl = await server.copy("overload");
    const api = stack.use(await startLotline({ databaseUrl, folder }, { AUTH_MODE: "legacy" }));
    const sql = connect({ url: databaseUrl, max: 1, name: "lotline-bench" });
    stack.defer(() => sql.end({ timeout: 1 }));
    await sql.unsafe(`
      create table slow_for (ms int);
      insert into slow_for values (0);
      create function slow() returns trigger language plpgsql as
        $$ begin perform pg_sleep((select ms from slow_for) / 1000.0); return new; end $$;
      create trigger slow before insert on lots for each row execute function slow()`);
    const [lot = ""] = server.plant.lotCodes;
    const post = () =>
      statusOf(`${api.url}/api/lots`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ lot_code: crypto.randomUUID() }),
      });

    const measure = async (times: number): Promise<Run> => {
      await sql`update slow_for set ms = ${ROW_MS}`;
      const writes = sendAt(CARRIED * times, seconds, post);
      const traces = sendAt(
        TRACES_PER_SECOND,
        seconds,
        () => statusOf(`${api.url}/api/traceability/${encodeURIComponent(lot)}`),
      );
      const health = sendAt(
        TRACES_PER_SECOND,
        seconds,
        () => statusOf(`${api.url}/api/health`),
      );
      await delay(1_000 * seconds);
      await sql`update slow_for set ms = 0`;
      const quickAt = performance.now();
      while (await post().then(({ status }) => status !== 201)) await delay(STEP_MS);
      const recoveryMs = performance.now() - quickAt;
      const written = await writes;
      const shareOf = (all: Sent[]) =>
        all.filter(({ status }) => status === 200).length / all.length;
      const refused = written.filter(({ status }) => status === 503).map(({ ms }) => ms);
      const early = written.filter(({ status, at }) => status === 201 && at < quickAt);
      return {
        times,
        succeeded: early.length / seconds,
        refusalMs: refused.length === 0 ? undefined : median(refused),
        traces: shareOf(await traces),
        health: shareOf(await health),
        recoveryMs,
      };
    };

    const takenByOthers: number[] = [];
    const runs: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const times of TIMES) {
        const { result, costs } = await withCosts(
          { serverPids: [api.pid], databasePid: server.pid },
          () => measure(times),
        );
        takenByOthers.push(costs.others / costs.all);
        say(JSON.stringify(result));
        runs.push(result);
      }
    }
    return {
      text: `${rounds} rounds of ${seconds} s, medians; the database carries ${CARRIED} lots a ` +
        `second\n\n${overloadTable(runs)}`,
      figures: { rounds, seconds, runs },
      takenByOthers,
    };
  },
};

function overloadTable(runs: readonly Run[]): string {
  const of = (times: number, read: (run: Run) => number | undefined) =>
    median(
      runs.filter((run) => run.times === times).map(read).filter((value) => value !== undefined),
    );
  const base = of(1, ({ succeeded }) => succeeded);
  const rows = TIMES.map((times) => {
    const succeeded = of(times, (run) => run.succeeded);
    const refusalMs = of(times, (run) => run.refusalMs);
    return [
      `${times}×`,
      inDigits(succeeded, 0),
      `${(succeeded / base).toFixed(2)}×`,
      Number.isNaN(refusalMs) ? "–" : inDigits(refusalMs, 0),
      `${inDigits(100 * of(times, (run) => run.traces), 1)} %`,
      `${inDigits(100 * of(times, (run) => run.health), 1)} %`,
      inDigits(of(times, (run) => run.recoveryMs), 0),
    ];
  });
  return markdownTable(
    ["load", "201 a second", "to 1×", "503 after ms", "traces 200", "health 200", "recovery ms"],
    rows,
  );
}

interface Sent {
  readonly status: number;
  readonly ms: number;
  /** When its response came. */
  readonly at: number;
}

async function statusOf(url: string, init?: RequestInit): Promise<Sent> {
  const started = performance.now();
  const response = await fetch(url, init);
  await response.body?.cancel();
  const at = performance.now();
  return { status: response.status, ms: at - started, at };
}

/** Sends so many a second, whether responses have come or not. */
async function sendAt(
  perSecond: number,
  seconds: number,
  send: () => Promise<Sent>,
): Promise<Sent[]> {
  const started = performance.now();
  const sent: Promise<Sent>[] = [];
  while (performance.now() - started < 1_000 * seconds) {
    const due = (performance.now() - started) / 1_000 * perSecond;
    while (sent.length < due) sent.push(send());
    await delay(STEP_MS);
  }
  return await Promise.all(sent);
}
