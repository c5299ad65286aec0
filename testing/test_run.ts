import { stripVTControlCharacters } from "node:util";
import type { TestFile } from "./test_files.ts";

/** What came of a run of tests. */
export interface RunResult {
  /** Of the process: 0 when nothing failed. */
  readonly code: number;
  readonly passed: number;
  readonly failed: number;
  /** What Deno says of the failed tests; empty when there are none. */
  readonly errors: string;
}

/** Nothing was run, or it passed. */
export const PASSED: RunResult = { code: 0, passed: 0, failed: 0, errors: "" };

export interface RunOptions {
  /** Options of `deno test`, such as its permissions. */
  readonly options?: readonly string[];
  /** Variables of the tests' environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The root of the tree that the paths are in; the working directory unless given. */
  readonly root?: string;
  /** Files at a time, by default {@link MAX_FILES_AT_ONCE}. */
  readonly filesAtOnce?: number;
}

/** More than there are processors, since the tests wait more than they compute. */
const MAX_FILES_AT_ONCE = 3;
/** Of unit tests. `deno task check` checks the types. */
export const UNIT_OPTIONS: readonly string[] = ["--no-check", "--deny-run"];
/** The longest test takes about one. */
const MAX_SILENT_MINUTES = 4;
/** Of one run's errors, from their beginning. */
const MAX_ERROR_CHARACTERS = 20_000;

/** Runs these files: most of them beside each other, then those that say they run alone. */
export async function runTests(
  tests: readonly TestFile[],
  { options = [], env = {}, root, filesAtOnce = MAX_FILES_AT_ONCE }: RunOptions = {},
): Promise<RunResult> {
  const pathsOf = (alone: boolean) =>
    tests.filter(({ runsAlone }) => runsAlone === alone).map(({ path }) => path);
  const [together, alone] = [pathsOf(false), pathsOf(true)];
  const jobs = { ...env, DENO_JOBS: String(filesAtOnce) };
  const results: RunResult[] = [];
  if (together.length > 0) {
    results.push(await denoTest([...options, "--parallel", ...together], jobs, root));
  }
  if (alone.length > 0) results.push(await denoTest([...options, ...alone], env, root));
  return sumOf(results);
}

/** The results as one; its code is the first that isn't 0. */
export function sumOf(results: readonly RunResult[]): RunResult {
  const sum = (of: "passed" | "failed") => results.reduce((all, one) => all + one[of], 0);
  return {
    code: results.find(({ code }) => code !== 0)?.code ?? 0,
    passed: sum("passed"),
    failed: sum("failed"),
    errors: results.map(({ errors }) => errors).filter((errors) => errors !== "").join("\n"),
  };
}

/**
 * The end of a run: what failed, once more, since it stands far above in a long output, and the sum in
 * the form of `deno test`.
 */
export function summaryOf({ passed, failed, errors }: RunResult, beganMs: number): string {
  const minutes = ((performance.now() - beganMs) / 60_000).toFixed(1);
  const sum = `all | ${passed} passed | ${failed} failed (${minutes} minutes)`;
  return errors === "" ? sum : `\nWhat failed:\n\n${errors}\n${sum}`;
}

/**
 * Runs `deno test` with these arguments, shows its output and counts its tests. A run in which no
 * test ends for {@link MAX_SILENT_MINUTES} minutes is ended, and has failed: a test hangs.
 */
export async function denoTest(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd: string = Deno.cwd(),
): Promise<RunResult> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--quiet", ...args],
    env,
    cwd,
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
  const onSilence = () => {
    isHanging = true;
    console.error(`No test has ended for ${MAX_SILENT_MINUTES} minutes: the run is ended.`);
    endAll("SIGKILL");
  };
  let silence: ReturnType<typeof setTimeout> | undefined;
  let end = "";
  let errors: string | undefined;
  // Whole lines, since another run may write at the same time.
  for await (const line of linesOf(process.stdout)) {
    // Paths in a copy of the tree are shown as those of the tree, which stays.
    const shown = line.replaceAll(cwd.replace(/\/$/, ""), Deno.cwd());
    Deno.stdout.writeSync(new TextEncoder().encode(shown));
    end = (end + shown).slice(-2_000);
    if (stripVTControlCharacters(shown).trim() === "ERRORS") errors = "";
    else if (errors !== undefined) errors = (errors + shown).slice(0, MAX_ERROR_CHARACTERS);
    // Deno goes on to say how long a test has been running.
    if (silence !== undefined && shown.includes("has been running for")) continue;
    clearTimeout(silence);
    silence = setTimeout(onSilence, MAX_SILENT_MINUTES * 60_000);
  }
  clearTimeout(silence);
  Deno.removeSignalListener("SIGINT", onSigint);
  Deno.removeSignalListener("SIGTERM", onSigterm);
  const { code } = await process.status;
  if (isHanging) {
    return { code: code || 1, passed: 0, failed: 1, errors: `A test hangs: ${args.join(" ")}\n` };
  }
  const passed = countIn(end, "passed");
  const failed = countIn(end, "failed");
  // Without counts, or with a leak after the last test, something failed that is no test.
  return {
    code,
    passed,
    failed: code !== 0 && failed === 0 ? 1 : failed,
    errors: errors ?? (code === 0 ? "" : end),
  };
}

/** The lines of a stream, each with its end. */
async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/(?<=\n)/);
    rest = lines.at(-1)?.endsWith("\n") ? "" : lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** "ok | 12 passed (3 steps) | 0 failed (4s)", with colours in between on a terminal. */
function countIn(end: string, what: "passed" | "failed"): number {
  return Number(end.match(RegExp(`(\\d+) ${what}`, "g"))?.at(-1)?.split(" ")[0] ?? 0);
}
