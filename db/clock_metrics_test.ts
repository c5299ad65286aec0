import { deepStrictEqual, ok } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { valuesOf } from "../testing/series.ts";
import { clockMetrics } from "./clock_metrics.ts";
import { noteProcess } from "./processes.ts";

const NAME = "lotline_clock_offset_seconds";

Deno.test("the clock's offset is that of the last note; one that is too inexact is missing", async () => {
  const noted: { clock: { aheadMs: number; errorMs: number } | undefined } = { clock: undefined };
  const read = async () => valuesOf(await clockMetrics(noted).text());
  deepStrictEqual(await read(), {});
  noted.clock = { aheadMs: -1_500, errorMs: 500 };
  deepStrictEqual(await read(), { [NAME]: -1.5 });
  noted.clock = { aheadMs: -1_500, errorMs: 501 };
  deepStrictEqual(await read(), {});
});

Deno.test("a running process knows its clock's offset, and not when PostgreSQL is away", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  const log = () => {};
  using noted = noteProcess({ sql, url, kind: "api", connections: 1, log, everyMs: 20 });
  const read = async () => valuesOf(await clockMetrics(noted).text())[NAME];
  await eventually("it is measured", async () => await read() !== undefined);
  const { clock } = noted;
  // One machine, one clock.
  ok(clock !== undefined && Math.abs(clock.aheadMs) <= clock.errorMs + 5, JSON.stringify(clock));
  await sql`drop function lotline.note_process`;
  await eventually("it is not known", async () => await read() === undefined);
});
