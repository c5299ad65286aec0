import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { openSession } from "../db/session.ts";
import { tryRelayLock } from "../db/outbox.ts";
import { insertJob } from "../testing/insert_job.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { named, valuesOf } from "../testing/series.ts";
import { startWorker } from "../testing/worker.ts";

Deno.test("a worker's METRICS_PORT shows a held outbox, its jobs, the schedule, an audit and the plant", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  await using holder = openSession(url, { name: "lotline-test" });
  // The worker's relay waits for its turn.
  ok(await tryRelayLock(holder.sql));
  await sql`insert into lots (lot_code, lot_type, weight_kg) values ('A', 'FG', null)`;
  await sql`insert into qc_decisions (lot_id, decision) select id, 'HOLD' from lots`;
  await insertJob(sql, { kind: "of_another_version", args: {}, priority: 1 });
  // By the clock: an audit and an upkeep that were missed.
  await using worker = await startWorker({ databaseUrl: url, environment: { METRICS_PORT: "0" } });
  await eventually(
    "the work of the schedule is done",
    async () => (await sql`select from lotline.jobs where state = 'done'`).length === 2,
  );
  const line = await worker.log.find((line) => line.includes('"event":"metrics_listening"'));
  const read = async () => {
    const response = await fetch(`http://127.0.0.1:${JSON.parse(line).port}/metrics`);
    return valuesOf(await response.text());
  };
  const isReadable = (values: Record<string, number>) =>
    Object.values(named(values, "lotline_metrics_readable")).every((value) => value === 1);
  await eventually("all parts are readable", async () => isReadable(await read()));

  const held = await read();
  strictEqual(held["lotline_outbox_rows"], 2);
  const seconds = held["lotline_outbox_oldest_seconds"] ?? NaN;
  ok(seconds > 0, `${seconds} s`);
  strictEqual(held['lotline_jobs{kind="unknown",state="ready"}'], 1);
  for (const kind of ["upkeep", "audit_genealogy"]) {
    const labels = `kind="${kind}",outcome="finished"`;
    await eventually(
      `an attempt of ${kind} is measured`,
      async () => (await read())[`lotline_job_duration_seconds_count{${labels}}`] === 1,
    );
  }
  const now = Date.now() / 1_000;
  const ago = (name: string) => now - (held[`lotline_${name}`] ?? NaN);
  const hourly = ago('schedule_last_run_timestamp_seconds{task="upkeep"}');
  ok(hourly > -60 && hourly < 2 * 3_600, `${hourly} s`);
  const daily = ago('schedule_last_run_timestamp_seconds{task="audit"}');
  ok(daily > -60 && daily < 25 * 3_600, `${daily} s`);
  const audited = ago("audit_last_run_timestamp_seconds");
  ok(audited > -60 && audited < 600, `${audited} s`);
  strictEqual(held['lotline_audit_findings{check="missing_weight"}'], 1);
  strictEqual(held['lotline_lots{lot_type="FG"}'], 1);
  strictEqual(held['lotline_qc_decisions{decision="HOLD"}'], 1);
  ok((held["lotline_database_bytes"] ?? 0) > 1_000_000);
  deepStrictEqual(named(held, "lotline_backup_last_timestamp_seconds"), {});

  await holder[Symbol.asyncDispose]();
  await eventually("the outbox is empty", async () => {
    const values = await read();
    return values["lotline_outbox_rows"] === 0 && values["lotline_outbox_oldest_seconds"] === 0;
  });
});
