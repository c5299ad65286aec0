import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import {
  queriesOf,
  queryNow,
  readDashboards,
  ruleExpressions,
  seriesOf,
} from "../dev/dashboards.ts";
import { freePort } from "../dev/free_port.ts";
import { DevRun, PROGRAM, stateFolder } from "../testing/dev_run.ts";
import { eventually } from "../testing/eventually.ts";
import { delay } from "../timing.ts";
import { sendLoad } from "./practice/load.ts";
import { readAddresses } from "./practice/practice_files.ts";
import { setMode } from "./routes/routes_table.ts";

/** Of rates: two readings are in it at any time. */
const RANGE = "1m";
/** Longer than some readings take on a busy machine. */
const PATIENT = { seconds: 90 };

/** What some queries need to have a result, and this load doesn't make. */
const NEEDS: Readonly<Record<string, RegExp>> = {
  "an alert": /^max by \(alertname/,
  "logins with passwords, or tokens": /lotline_(?:logins|refused|bad_tokens)_total/,
  "a failed request": /status=~"5/,
  "more requests than it takes": /lotline_requests_shed_total/,
  "a replica": /lotline_replica_/,
  "TLS to PostgreSQL or Valkey": /lotline_certificate_/,
  "a job that waits at this moment": /^max by \(kind(?:, state)?\) \(lotline_jobs(?:_oldest|\))/,
  "a difference": /^sum by \(operation\).*outcome="different"|lotline_gateway_approvals_used_total/,
  "a plan that runs": /lotline_gateway_plan_/,
  "a client that leaves": /lotline_gateway_clients_left_total/,
  "a job that fails": /lotline_job_retries_total|lotline_jobs_died_total/,
  "a worker that is lost": /lotline_job_rescues_total/,
  "a backup": /lotline_backup_|lotline_wal_archive_/,
  "a finding": /lotline_audit_findings/,
};
/** Shown only where there is a replica, a backup, or an archive of PostgreSQL's log. */
const WHERE_THERE_IS_ONE = /^lotline_(?:replica|backup|wal_archive)_/;

Deno.test("under load every query of the dashboards has a result, from processes that all tell of themselves", async () => {
  await using folder = await stateFolder();
  const state = `${folder.path}/state`;
  await using run = new DevRun(state, freePort(), [...PROGRAM, "--cutover", "--observe"]);
  await run.says("cutover history");
  const [, prometheus = ""] = /Prometheus +(http:\S+)/.exec(run.output) ?? [];
  match(run.output, /Alertmanager +http:\S+/);
  const metrics = [...run.output.matchAll(/Metrics +(http:\S+)/g)].map(([, url = ""]) => url);
  strictEqual(metrics.length, 3, run.output);
  const practice = await readAddresses(state);
  ok(practice !== undefined);

  const sql = connect({ url: practice.databaseUrl, max: 1 });
  const stop = new AbortController();
  const load = sendLoad(practice, {
    perSecond: 40,
    seconds: undefined,
    print: () => {},
    signal: stop.signal,
  });
  try {
    const note = { who: "test", why: "to be seen" };
    await setMode(sql, { operation: "createLot", mode: { name: "shadow" }, ...note });
    const canary = { name: "canary", percent: 50 } as const;
    await setMode(sql, { operation: "getTraceability", mode: canary, ...note });
    const api = /API +(http:\S+)/.exec(run.output)?.[1] ?? "";
    await (await fetch(`${api}/api/audits`, { method: "POST" })).body?.cancel();
    await eventually("all are scraped", async () => {
      const up = await queryNow(prometheus, 'up{job=~"lotline-.+"} == 1');
      return up.length === 3;
    }, PATIENT);

    const queries = queriesOf(await readDashboards(), RANGE);
    const needed = queries.filter(({ query }) =>
      !Object.values(NEEDS).some((needs) => needs.test(query))
    );
    ok(needed.length > 50 && needed.length < queries.length, `${needed.length}`);
    // Each query is computed without an error, also one without a result.
    for (const { query } of queries) await queryNow(prometheus, query);
    const withoutData = async () => {
      const found: string[] = [];
      for (const { dashboard, panel, query } of needed) {
        if ((await queryNow(prometheus, query)).length === 0) {
          found.push(`${dashboard}, ${panel}: ${query}`);
        }
      }
      return found;
    };
    let left = await withoutData();
    await eventually("every panel has data", async () => {
      if (left.length > 0) await delay(2_000);
      return (left = await withoutData()).length === 0;
    }, PATIENT).catch(() => deepStrictEqual(left, []));

    const told = (await Promise.all(metrics.map(async (url) => await (await fetch(url)).text())))
      .join("");
    const series = seriesOf([...queries.map(({ query }) => query), ...await ruleExpressions()]);
    deepStrictEqual(
      series.filter((name) => !WHERE_THERE_IS_ONE.test(name) && !told.includes(`# HELP ${name} `)),
      [],
    );
  } finally {
    stop.abort();
    await sql.end({ timeout: 1 });
  }
  ok(await load > 0);
  strictEqual(await run.end("SIGTERM"), 0);
});
