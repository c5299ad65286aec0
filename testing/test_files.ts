import { join, posix } from "node:path";
import project from "../deno.json" with { type: "json" };
import { CUTOVER, MOSTLY_WAITING, ONLY_IN_WHOLE_TREE, WHOLE_TREE_TESTS } from "./parts.ts";

/** A file of tests, by its path from the root of the tree. */
export interface TestFile {
  readonly path: string;
  /** It has a line `// Runs alone: …` with the reason; the others run in parallel. */
  readonly runsAlone: boolean;
  /** It runs in parallel, and nothing that it imports, directly or not, starts a process. */
  readonly isUnitTest: boolean;
  /** A unit test whose coverage is measured: it has no line `// Not measured: …` with the reason. */
  readonly isMeasured: boolean;
}

/**
 * Folders, at any depth, and files with the tests that take longest: these start first. Passwords
 * are hashed with the lowest priority, which takes minutes beside other tests.
 */
const SLOW = [
  "bench",
  "dev",
  "faults",
  "large_traces_test.ts",
  "login_by_password_test.ts",
  "parity",
  "practice",
  "user_main_test.ts",
];

/** As globs, such as programs that import what a generator makes. */
const EXCLUDED = project.exclude.map((path) => path.replace(/\/$/, ""));
const isExcluded = (path: string) => EXCLUDED.some((glob) => posix.matchesGlob(path, glob));

/** Paths of TypeScript files below a folder, sorted, except hidden folders and packages. */
export async function listSources(root: string, folder = ""): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    const path = posix.join(folder, name);
    if (name.startsWith(".") || name === "node_modules" || isExcluded(path)) continue;
    if (isDirectory) paths.push(...await listSources(root, path));
    else if (name.endsWith(".ts")) paths.push(path);
  }
  return paths.sort();
}

/** The project's files that a file names: its imports, and the threads that it starts. */
function referencesOf(path: string, source: string): string[] {
  const atRunTime = source.replaceAll(/^import type .*$/gm, "");
  return [...atRunTime.matchAll(/"(\.{1,2}\/[^"\n]+\.ts)"/g)]
    .map(([, target = ""]) => posix.join(posix.dirname(path), target));
}

/** All tests of a tree, the {@link SLOW} ones first. */
export async function listTests(root: string): Promise<TestFile[]> {
  const sources = new Map<string, string>();
  for (const path of await listSources(root)) {
    sources.set(path, await Deno.readTextFile(join(root, path)));
  }
  const startsProcess = (path: string): boolean => {
    const reached = new Set([path]);
    for (const one of reached) {
      const source = sources.get(one) ?? "";
      if (/\bDeno\.Command\(|"node:child_process"/.test(source)) return true;
      for (const next of referencesOf(one, source)) reached.add(next);
    }
    return false;
  };
  const tests = [...sources].filter(([path]) => path.endsWith("_test.ts"))
    .map(([path, source]) => {
      const runsAlone = /^\/\/ Runs alone: \S/m.test(source);
      const isUnitTest = !runsAlone && !startsProcess(path);
      const isMeasured = isUnitTest && !/^\/\/ Not measured: \S/m.test(source);
      return { path, runsAlone, isUnitTest, isMeasured };
    });
  const isSlow = ({ path }: TestFile) => path.split("/").some((name) => SLOW.includes(name));
  return [...tests.filter(isSlow), ...tests.filter((test) => !isSlow(test))];
}

/** The files of a list that are one of these paths, or below one. */
export function testsAt(tests: readonly TestFile[], paths: readonly string[]): TestFile[] {
  const wanted = paths.map((path) => posix.normalize(path).replace(/\/$/, ""));
  return tests.filter(({ path }) =>
    wanted.some((one) => one === "." || path === one || path.startsWith(`${one}/`))
  );
}

/** Those that only this tree can run, and no copy without the cutover. */
export function testsOfWholeTree(tests: readonly TestFile[]): TestFile[] {
  return testsAt(tests, [...CUTOVER, ...WHOLE_TREE_TESTS]);
}

/** Those that a copy without the cutover runs beside {@link testsOfWholeTree}. */
export function testsOfCopy(tests: readonly TestFile[]): TestFile[] {
  const others = new Set(testsAt(tests, ONLY_IN_WHOLE_TREE));
  return tests.filter((test) => !others.has(test));
}

/** Whether it leaves the processors to others for most of its time. */
export function mostlyWaits(test: TestFile): boolean {
  return testsAt([test], MOSTLY_WAITING).length > 0;
}
