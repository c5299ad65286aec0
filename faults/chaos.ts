/**
 * `deno task chaos [SEED] [MINUTES]`: all that can go wrong under workers, at random, for 5 minutes
 * unless told otherwise. Ends with 1 when a job was lost, counted twice or wasn't rescued in time.
 *
 * @module
 */
import { chaos, FAULTS } from "./job_chaos.ts";

const [seed = Math.floor(Math.random() * 1e9), minutes = 5] = Deno.args.map(Number);
if (!(Number.isInteger(seed) && seed >= 0 && minutes > 0)) {
  console.error("usage: deno task chaos [SEED] [MINUTES]");
  Deno.exit(2);
}
const began = performance.now();
console.log(`seed ${seed}, ${minutes} minutes`);
const result = await chaos({
  seed,
  seconds: minutes * 60,
  everyMs: 2_000,
  faults: FAULTS,
  report: (line) => console.log(`${((performance.now() - began) / 1000).toFixed(1)} s  ${line}`),
});
console.log(
  `${result.jobs} jobs under ${result.faults} faults: all done, none twice. ` +
    `${result.restarted} were started again; the slowest rescue took ` +
    `${Math.round(result.slowestRescueMs)} ms.`,
);
Deno.exit(0);
