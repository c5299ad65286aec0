/**
 * Runs the tests with the servers that they share already started, so that not every file starts
 * its own: `deno run -A testing/run.ts [arguments of deno test]`.
 *
 * Without arguments it runs all of them, three files at a time, since they wait more than they compute:
 * first most, then those in `faults/`, which are about time, as far as a busy machine doesn't mislead
 * them. The others run by themselves. A run in which no test ends for
 * {@link MAX_SILENT_MINUTES} is ended, and has failed: a test hangs. The last line is the sum.
 *
 * @module
 */
import { ownPostgres, sharedServerVariable } from "./postgres_servers.ts";

const FAULTS = ["faults/", "cutover/faults/"];
/** They mostly wait, or go by how much has happened and not by how fast. */
const PATIENT = [
  "bad_bodies",
  "bad_login",
  "bad_requests",
  "bad_values",
  "dry_run",
  "idempotency",
  "jobs_handover",
  "jobs_killed",
  "jobs_without_postgres",
  "jobs_without_valkey",
  "key_rotation",
  "revocation",
  "slow_statements",
].map((name) => `faults/${name}_test.ts`).concat(
  [
    "canary_share",
    "compared_sizes",
    "compressed_cutover",
    "cutover",
    "gateway_modes",
    "gateway_sides",
    "leaving_clients",
    "odd_cutover",
    "shadowed_writes",
  ].map((name) => `cutover/faults/${name}_test.ts`),
);

/** The longest test takes about one. */
const MAX_SILENT_MINUTES = 4;

console.log("Starting PostgreSQL 17 and 15 for the tests …");
const began = performance.now();
await using seventeen = await ownPostgres(17);
await using fifteen = await ownPostgres(15);

if (Deno.args.length > 0) {
  Deno.exitCode = (await test(Deno.args)).code;
} else {
  const runs = [
    await test(["--parallel", `--ignore=${FAULTS}`], 3),
    await test(["--parallel", ...PATIENT], 3),
    await test([`--ignore=${PATIENT}`, ...FAULTS]),
  ];
  const sum = (of: "passed" | "failed") => runs.reduce((all, run) => all + run[of], 0);
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  console.log(`all | ${sum("passed")} passed | ${sum("failed")} failed (${minutes} minutes)`);
  Deno.exitCode = Math.max(...runs.map(({ code }) => code));
}

/** Runs `deno test`, shows what it says, and counts as it does. `maxConcurrent` goes with `--parallel`. */
async function test(
  args: string[],
  atOnce = 1,
): Promise<{ code: number; passed: number; failed: number }> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--quiet", ...args],
    env: {
      DENO_JOBS: String(atOnce),
      [sharedServerVariable(17)]: seventeen.server.url,
      [sharedServerVariable(15)]: fifteen.server.url,
    },
    stdout: "piped",
    // In a group of its own, so that what its tests have started ends with it.
    detached: true,
  }).spawn();
  const endAll = (signal: Deno.Signal) => Deno.kill(-process.pid, signal);
  const onSigint = () => endAll("SIGINT");
  const onSigterm = () => endAll("SIGTERM");
  Deno.addSignalListener("SIGINT", onSigint);
  Deno.addSignalListener("SIGTERM", onSigterm);
  let isHanging = false;
  const onStall = () => {
    isHanging = true;
    console.error(`No test has ended for ${MAX_SILENT_MINUTES} minutes: the run is ended.`);
    endAll("SIGKILL");
  };
  let noResponse: ReturnType<typeof setTimeout> | undefined;
  let end = "";
  const decoder = new TextDecoder();
  for await (const bytes of process.stdout) {
    Deno.stdout.writeSync(bytes);
    const text = decoder.decode(bytes, { stream: true });
    end = (end + text).slice(-2_000);
    // Deno goes on to say how long a test has been running.
    if (noResponse !== undefined && text.includes("has been running for")) continue;
    clearTimeout(noResponse);
    noResponse = setTimeout(onStall, MAX_SILENT_MINUTES * 60_000);
  }
  clearTimeout(noResponse);
  Deno.removeSignalListener("SIGINT", onSigint);
  Deno.removeSignalListener("SIGTERM", onSigterm);
  // "ok | 12 passed (3 steps) | 0 failed (4s)", with colours in between on a terminal.
  const count = (what: string) =>
    Number(end.match(RegExp(`(\\d+) ${what}`, "g"))?.at(-1)?.split(" ")[0]);
  const { code } = await process.status;
  if (isHanging) return { code, passed: 0, failed: 1 };
  return { code, passed: count("passed"), failed: count("failed") };
}
