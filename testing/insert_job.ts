import { type NewJob, newJob } from "../db/jobs.ts";
import { oneRow } from "../db/one_row.ts";
import type { Sql } from "../db/sql.ts";

/** Puts a job into the queue and returns its id; see {@link newJob}. */
export async function insertJob(sql: Sql, job: NewJob): Promise<string> {
  return oneRow(await newJob(sql, job)).id;
}
