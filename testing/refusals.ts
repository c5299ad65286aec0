import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { type ApiOnSeed, apiOnSeed } from "./api_on_seed.ts";
import { INTERNAL_WORDS, type RawReply, sendRaw } from "./raw_http.ts";

/** An API on the seed that refuses every request of a test, and stays unchanged. */
export interface Refusals extends ApiOnSeed {
  /**
   * Sends bytes over a new socket and checks that they are refused with one of the statuses: with
   * an error without internal details, no row more or less in any table, the process running.
   */
  refuse(bytes: string | Uint8Array, statuses: readonly number[]): Promise<RawReply>;
  /**
   * As {@link Refusals.refuse}, for requests that the HTTP server refuses before the service sees
   * them: without a body, and with 0 among the statuses also by closing the connection.
   */
  refuseUnseen(bytes: string | Uint8Array, statuses: readonly number[]): Promise<void>;
}

/** Starts it for all tests of the calling file. */
export async function startRefusals(environment: Record<string, string> = {}): Promise<Refusals> {
  const started = await apiOnSeed(environment);
  const { api, sql } = started;
  const port = Number(new URL(api.url).port);
  // The API notes itself in lotline.processes soon after its start.
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ('public', 'auth', 'lotline') and tablename <> 'processes' order by name`;
  ok(tables.length > 20);
  const statement = tables.map(({ name }) => `select '${name}' as name, count(*) from ${name}`)
    .join(" union all ");
  const counts = async () => [...await sql.unsafe(statement)];
  const before = await counts();
  const checkUnchanged = async () => {
    deepStrictEqual(await counts(), before);
    strictEqual((await api.get("/livez")).status, 200);
    deepStrictEqual(api.log.lines.filter((line) => line.includes('"level":"error"')), []);
  };

  return {
    ...started,
    refuse: async (bytes, statuses) => {
      const reply = await sendRaw(port, bytes);
      const { status, head, body } = reply;
      ok(statuses.includes(status), `${head}\n${body.slice(0, 500)}`);
      const { error } = JSON.parse(body);
      ok(typeof error === "string" && error.length > 0 && error.length < 300, body);
      ok(!INTERNAL_WORDS.test(body) && body.length < 20_000, body);
      match(head, /^content-type: application\/json; charset=utf-8$/im);
      ok(status !== 405 || /^allow: /im.test(head), head);
      await checkUnchanged();
      return reply;
    },
    refuseUnseen: async (bytes, statuses) => {
      const { status, head, body } = await sendRaw(port, bytes);
      ok(statuses.includes(status), `${status} ${head}`);
      strictEqual(body, "");
      await checkUnchanged();
    },
  };
}
