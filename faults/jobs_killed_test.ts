import { ok } from "node:assert/strict";
import { chaos } from "./job_chaos.ts";

Deno.test("after repeated kill -9 of workers no job is lost, none counts twice, all are rescued in time", async () => {
  const seed = Math.floor(Math.random() * 1e9);
  try {
    const { jobs, restarted } = await chaos({
      seed,
      seconds: 5,
      everyMs: 700,
      faults: ["kill a worker"],
      report: () => {},
    });
    ok(jobs > 100 && restarted > 0, `${jobs} jobs, of which ${restarted} were started again`);
  } catch (error) {
    throw new Error(`seed ${seed}: deno task chaos ${seed}`, { cause: error });
  }
});
