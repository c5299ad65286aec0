import project from "../deno.json" with { type: "json" };
import { coverageFolder, readCoverage } from "./coverage_report.ts";
import { formatTable, tableOf } from "./coverage_table.ts";
import { CUTOVER } from "./parts.ts";
import { copyService, deno } from "./service_copy.ts";
import { withSharedServers } from "./shared_servers.ts";
import {
  listSources,
  listTests,
  mostlyWaits,
  type TestFile,
  testsOfCopy,
  testsOfWholeTree,
} from "./test_files.ts";
import { PASSED, type RunResult, runTests, sumOf, UNIT_OPTIONS } from "./test_run.ts";

const ROOT = new URL("../", import.meta.url).pathname;
/**
 * Of the copy without the cutover, and of this tree, whose tests start more processes each: together
 * they keep two processors busy, and no wait gets too long.
 */
const FILES_AT_ONCE = { copy: 2, tree: 1 };
const CHECK_FAILED: RunResult = { ...PASSED, code: 1, errors: "A check failed.\n" };
/** The arguments of Deno in `deno task check`: the last command checks the types. */
const CHECKS = project.tasks.check.command.split(" && ").map((one) => one.split(" ").slice(1));

/** A tree with the tests that run in it. */
interface Part {
  readonly root: string;
  readonly tests: readonly TestFile[];
  /** {@link runTests}' own number unless given. */
  readonly filesAtOnce?: number;
}

/** Checks everything and runs all tests; shows what the unit tests reach. */
export async function runAllTests(): Promise<RunResult> {
  const quickChecks = Promise.all(CHECKS.slice(0, -1).map((args) => deno(ROOT, args)));
  const isWrong = async () => (await quickChecks).some((code) => code !== 0);
  if (!await hasCutover()) {
    if (await isWrong()) return CHECK_FAILED;
    return await runParts([{ root: ROOT, tests: await listTests(ROOT) }]);
  }
  await using copy = await copyService();
  console.log(`The service without the cutover is in ${copy.path}`);
  if (await isWrong()) return CHECK_FAILED;
  // Its types are those of this tree, where it imports nothing that is missing.
  if (await deno(copy.path, ["cache", "--quiet", ...await listSources(copy.path)]) !== 0) {
    return CHECK_FAILED;
  }
  return await runParts([
    {
      root: copy.path,
      tests: testsOfCopy(await listTests(copy.path)),
      filesAtOnce: FILES_AT_ONCE.copy,
    },
    {
      root: ROOT,
      tests: testsOfWholeTree(await listTests(ROOT)),
      filesAtOnce: FILES_AT_ONCE.tree,
    },
  ], copy.path);
}

async function checkTypes(): Promise<RunResult> {
  const isRight = await deno(ROOT, [...CHECKS.at(-1) ?? [], "--quiet"]) === 0;
  return isRight ? PASSED : { ...PASSED, code: 1, failed: 1, errors: "The types are wrong.\n" };
}

async function hasCutover(): Promise<boolean> {
  const folders = await Promise.all(
    CUTOVER.map((folder) => Deno.stat(ROOT + folder).catch(() => undefined)),
  );
  return folders.some((folder) => folder !== undefined);
}

/**
 * Runs the tests of parts beside each other, and beside them the check of types and the tests that
 * mostly wait; then those of each part that run alone. The one of them that ends first runs the
 * unit tests of all.
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
    const run = (
      { root, env, tests }: PartWithServers,
      isWanted: (test: TestFile) => boolean,
      filesAtOnce?: number,
    ) =>
      runTests(tests.filter((test) => !test.isMeasured && isWanted(test)), {
        ...(filesAtOnce !== undefined && { filesAtOnce }),
        root,
        options: ["--no-check"],
        env,
      });
    const lane = async (...actions: (() => Promise<RunResult>)[]) => {
      const done: RunResult[] = [];
      for (const action of actions) done.push(await action());
      for (let next = unitTests.shift(); next !== undefined; next = unitTests.shift()) {
        done.push(await next());
      }
      return done;
    };
    const isWaiting = (test: TestFile) => !test.runsAlone && mostlyWaits(test);
    const isBusy = (test: TestFile) => !test.runsAlone && !mostlyWaits(test);
    const beside = await Promise.all([
      ...withServers.map((part) => lane(() => run(part, isBusy, part.filesAtOnce))),
      lane(checkTypes, ...withServers.map((part) => () => run(part, isWaiting, 1))),
    ]);
    const alone: RunResult[] = [];
    for (const part of withServers) alone.push(await run(part, ({ runsAlone }) => runsAlone));
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
