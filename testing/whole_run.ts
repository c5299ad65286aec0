import { coverageFolder, readCoverage } from "./coverage_report.ts";
import { formatTable, tableOf } from "./coverage_table.ts";
import { CUTOVER } from "./parts.ts";
import { copyService, deno } from "./service_copy.ts";
import { withSharedServers } from "./shared_servers.ts";
import { listTests, type TestFile, testsOfWholeTree } from "./test_files.ts";
import { type RunResult, runTests, sumOf, UNIT_OPTIONS } from "./test_run.ts";

const ROOT = new URL("../", import.meta.url).pathname;
/**
 * Of the copy without the cutover, and of this tree, whose tests start more processes each: together
 * they keep two processors busy, and no wait gets too long.
 */
const FILES_AT_ONCE = { copy: 2, tree: 1 };
const CHECK_FAILED: RunResult = { code: 1, passed: 0, failed: 0 };

/** A tree with the tests that run in it. */
interface Part {
  readonly root: string;
  readonly tests: readonly TestFile[];
  /** {@link runTests}' own number unless given. */
  readonly filesAtOnce?: number;
}

/** Checks everything and runs all tests; shows what the unit tests reach. */
export async function runAllTests(): Promise<RunResult> {
  if (!await hasCutover()) {
    if (await deno(ROOT, ["task", "--quiet", "check"]) !== 0) return CHECK_FAILED;
    return await runParts([{ root: ROOT, tests: await listTests(ROOT) }]);
  }
  await using copy = await copyService();
  console.log(`The service without the cutover is in ${copy.path}`);
  const checks = await Promise.all([
    deno(ROOT, ["task", "--quiet", "check"]),
    // Its format and style are those of this tree.
    deno(copy.path, ["check", "--quiet"]),
  ]);
  if (checks.some((code) => code !== 0)) return CHECK_FAILED;
  return await runParts([
    {
      root: copy.path,
      tests: await listTests(copy.path),
      filesAtOnce: FILES_AT_ONCE.copy,
    },
    {
      root: ROOT,
      tests: testsOfWholeTree(await listTests(ROOT)),
      filesAtOnce: FILES_AT_ONCE.tree,
    },
  ], copy.path);
}

async function hasCutover(): Promise<boolean> {
  const folders = await Promise.all(
    CUTOVER.map((folder) => Deno.stat(ROOT + folder).catch(() => undefined)),
  );
  return folders.some((folder) => folder !== undefined);
}

/**
 * Runs the tests of parts beside each other, then those of each that run alone. The part that has
 * run its other tests first begins with the unit tests of all.
 */
async function runParts(parts: readonly Part[], copy?: string): Promise<RunResult> {
  await using coverage = await coverageFolder();
  const results = await withServersOf(parts, async (withServers) => {
    const unitTests = parts.map(({ root, tests }) => () =>
      runTests(tests.filter(({ isMeasured }) => isMeasured), {
        root,
        options: UNIT_OPTIONS,
        env: coverage.env,
      })
    );
    const run = ({ root, env, tests, filesAtOnce }: PartWithServers, alone: boolean) =>
      runTests(tests.filter((test) => test.runsAlone === alone && !test.isMeasured), {
        ...(filesAtOnce !== undefined && { filesAtOnce }),
        root,
        options: ["--no-check"],
        env,
      });
    const beside = await Promise.all(withServers.map(async (part) => {
      const done = [await run(part, false)];
      for (let next = unitTests.shift(); next !== undefined; next = unitTests.shift()) {
        done.push(await next());
      }
      return done;
    }));
    const alone: RunResult[] = [];
    for (const part of withServers) alone.push(await run(part, true));
    return [...beside.flat(), ...alone];
  });
  const { service, cutover } = tableOf(await readCoverage(coverage.path, copy));
  console.log(`\nWhat the unit tests reach:\n\n${formatTable([...service, ...cutover])}\n`);
  return sumOf(results);
}

type PartWithServers = Part & { readonly env: Record<string, string> };

/** Starts servers for each part: their tests would meet in common ones, where they run in both. */
async function withServersOf<Result>(
  parts: readonly Part[],
  action: (parts: readonly PartWithServers[]) => Promise<Result>,
  started: readonly PartWithServers[] = [],
): Promise<Result> {
  const [part, ...rest] = parts;
  if (part === undefined) return await action(started);
  return await withSharedServers((env) =>
    withServersOf(rest, action, [...started, { ...part, env }])
  );
}
