import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import { startApi } from "../testing/api.ts";
import { eventually } from "../testing/eventually.ts";
import { startWorker } from "../testing/worker.ts";
import { delay } from "../timing.ts";

/** How many clients write at a time: more than the API has connections. */
const CLIENTS = 28;
/** Between two rounds, in ms: the connections leave a read-only server that often. */
const PAUSE_MS = 500;

/**
 * An API and a worker on an address, and clients that write.
 *
 * @param directUrl for the worker, when the address leads through a pooler
 */
export async function startService(databaseUrl: string, directUrl = databaseUrl) {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await startApi({ databaseUrl }));
  stack.use(await startWorker({ databaseUrl: directUrl }));
  const acknowledged: string[] = [];
  const refused: string[] = [];
  let rounds = 0;

  const write = async (notes: string): Promise<boolean> => {
    const { status, headers } = await api.post("/api/qc-decisions", { decision: "PASS", notes });
    if (status === 201) acknowledged.push(notes);
    else {
      deepStrictEqual([status, headers.get("retry-after")], [503, "1"]);
      refused.push(notes);
    }
    return status === 201;
  };
  /** Each client writes once, all at a time; returns how many were refused. */
  const round = async (): Promise<number> => {
    const name = `round ${++rounds}`;
    const writes = Array.from({ length: CLIENTS }, (_, client) => write(`${name}, ${client}`));
    return (await Promise.all(writes)).filter((isStored) => !isStored).length;
  };
  const parts = stack.move();
  return {
    api,
    refused,
    round,
    /** How many rounds are refused, in part or whole, before the first that isn't. */
    async roundsUntilStored(): Promise<number> {
      let failed = 0;
      await eventually("a whole round is stored", async () => {
        if (await round() === 0) return true;
        failed++;
        await delay(PAUSE_MS);
        return false;
      }, { seconds: 60 });
      return failed;
    },
    /** What readiness says, once it is so. */
    readiness: (status: 200 | 503, text: string) =>
      eventually(`readiness is ${status}: ${text}`, async () => {
        const response = await api.get("/readyz");
        return response.status === status && response.text.includes(text);
      }, { seconds: 60 }),
    /** Starts a job and waits until the worker has done it. */
    async runsJobs(): Promise<void> {
      const { status, json } = await api.post("/api/audits", {});
      strictEqual(status, 202);
      await eventually("the job is done", async () => {
        const response = await api.get(`/api/audits/${json.id}`);
        return response.status === 200 && response.json.state === "done";
      }, { seconds: 60 });
    },
    /**
     * Checks that each acknowledged write is stored, and no write twice.
     *
     * @param url of the server that serves now
     * @returns how many of the refused are stored: after a lost connection it is unknown to all
     */
    async storedOfRefused(url: string): Promise<number> {
      const sql = connect({ url, max: 1, name: "lotline-test" });
      try {
        const rows = await sql<{ notes: string; count: number }[]>`
          select notes, count(*)::int as count from qc_decisions
          where notes like 'round %' group by notes`;
        const stored = new Set(rows.map(({ notes }) => notes));
        deepStrictEqual(rows.filter(({ count }) => count > 1), []);
        deepStrictEqual(acknowledged.filter((notes) => !stored.has(notes)), []);
        ok(acknowledged.length > 0);
        return refused.filter((notes) => stored.has(notes)).length;
      } finally {
        await sql.end({ timeout: 1 });
      }
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
