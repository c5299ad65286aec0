/**
 * `deno task chaos [SEED] [MINUTES]`: all faults that workers may meet, at random, for 5 minutes by
 * default. Exits with 1 when a job was lost, counted twice or not rescued in time.
 *
 * `deno task chaos traces [SEED] [READS]`: responses of the trace cache while both upstreams write
 * and processes pause, a million by default. Exits with 1 when one was stale beyond the window.
 *
 * @module
 */
import { chaos, FAULTS } from "./job_chaos.ts";
import { hammerStumbling } from "./stumbling_hammer.ts";
import { answerHelp } from "../task_help.ts";

answerHelp({
  task: "chaos",
  usage:
    "usage: deno task chaos [SEED] [MINUTES]        faults under workers, 5 minutes by default\n" +
    "       deno task chaos traces [SEED] [READS]   checked traces, a million by default",
  exit: "0 all is right; 1 something was lost, counted twice or stale; 2 wrong usage",
});

const [what, words] = Deno.args[0] === "traces"
  ? ["traces", Deno.args.slice(1)] as const
  : ["jobs", Deno.args] as const;
const numbers = words.map(Number);
const [seed = Math.floor(Math.random() * 1e9), amount = what === "jobs" ? 5 : 1_000_000] = numbers;
if (!(Number.isInteger(seed) && seed >= 0 && amount > 0)) {
  console.error("usage: deno task chaos [SEED] [MINUTES] | deno task chaos traces [SEED] [READS]");
  Deno.exit(2);
}
const began = performance.now();
const seconds = () => ((performance.now() - began) / 1000).toFixed(1);

if (what === "jobs") {
  console.log(`seed ${seed}, ${amount} minutes`);
  const result = await chaos({
    seed,
    seconds: amount * 60,
    everyMs: 2_000,
    faults: FAULTS,
    report: (line) => console.log(`${seconds()} s  ${line}`),
  });
  console.log(
    `${result.jobs} jobs under ${result.faults} faults: all done, none twice. ` +
      `${result.restarted} were started again; the slowest rescue took ` +
      `${Math.round(result.slowestRescueMs)} ms.`,
  );
  Deno.exit(0);
}

console.log(`seed ${seed}, ${amount} responses`);
const { reads, changes, ownWrites, wrong, stale, hits } = await hammerStumbling({
  seed,
  reads: amount,
  changesPerSecond: 500,
});
for (const line of wrong) console.log(`WRONG ${line}`);
const at = (share: number) => (stale[Math.floor(share * (stale.length - 1))] ?? 0).toFixed(1);
console.log(
  `${reads} responses, ${hits} of them from the cache, in ${seconds()} s, during ${changes} changes ` +
    `and ${ownWrites} own writes: ${wrong.length} wrong. ${stale.length} showed what had been ` +
    `overwritten, for ${at(0.5)} ms (p50), ${at(0.99)} ms (p99), ${at(1)} ms at most.`,
);
Deno.exit(wrong.length === 0 ? 0 : 1);
