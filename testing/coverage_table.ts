import { CUTOVER, TOOLS } from "./parts.ts";

/** How much of a file or of a folder the tests have reached. */
export interface Coverage {
  readonly lines: Reached;
  readonly branches: Reached;
}

interface Reached {
  readonly reached: number;
  readonly all: number;
}

/** A folder of the table, or the sum of several. */
export interface CoverageRow extends Coverage {
  readonly name: string;
}

const NONE: Coverage = { lines: { reached: 0, all: 0 }, branches: { reached: 0, all: 0 } };
export const TOP_LEVEL = "top level";

/** Reads a report in lcov's format: coverage by path, relative to the root. */
export function readLcov(text: string, root: string): Map<string, Coverage> {
  const files = new Map<string, Coverage>();
  for (const record of text.split("end_of_record")) {
    const values = new Map(
      record.trim().split("\n").map((line) => {
        const [key = "", ...rest] = line.split(":");
        return [key, rest.join(":")] as const;
      }),
    );
    const path = values.get("SF");
    if (path === undefined) continue;
    const count = (key: string) => Number(values.get(key) ?? 0);
    files.set(path.replace(root, ""), {
      lines: { reached: count("LH"), all: count("LF") },
      branches: { reached: count("BRH"), all: count("BRF") },
    });
  }
  return files;
}

/** Whether a file's coverage is measured: tools, tests, types and generated files are left out. */
export function isMeasured(path: string): boolean {
  const [folder = "", inside = ""] = path.split("/");
  // The cutover has its tools inside.
  const tools = CUTOVER.includes(folder) ? inside : folder;
  return !TOOLS.includes(tools) && !/(?:_test|\.gen|\.d)\.ts$/.test(path);
}

/** The folders of the service and of the cutover, each list with its sum at the end. */
export function tableOf(
  files: ReadonlyMap<string, Coverage>,
): { service: CoverageRow[]; cutover: CoverageRow[] } {
  const rows = new Map<string, Coverage>();
  for (const [path, coverage] of files) {
    if (isMeasured(path)) {
      const name = folderOf(path);
      rows.set(name, sum([rows.get(name) ?? NONE, coverage]));
    }
  }
  const part = (isCutover: boolean, name: string): CoverageRow[] => {
    const folders = [...rows].filter(([folder]) =>
      CUTOVER.includes(folder.split("/")[0] ?? "") === isCutover
    ).map(([folder, coverage]) => ({ name: folder, ...coverage }));
    folders.sort((a, b) => a.name < b.name ? -1 : 1);
    return [...folders, { name, ...sum(folders) }];
  };
  return { service: part(false, "**service**"), cutover: part(true, "**cutover**") };
}

/** The folder at the top, or below `cutover`. */
function folderOf(path: string): string {
  const folders = path.split("/").slice(0, -1);
  return folders.slice(0, folders[0] === "cutover" ? 2 : 1).join("/") || TOP_LEVEL;
}

function sum(all: readonly Coverage[]): Coverage {
  const of = (kind: "lines" | "branches") => ({
    reached: all.reduce((total, one) => total + one[kind].reached, 0),
    all: all.reduce((total, one) => total + one[kind].all, 0),
  });
  return { lines: of("lines"), branches: of("branches") };
}

/** In percent; of nothing, all is reached. */
export function percentOf({ reached, all }: Reached): number {
  return all === 0 ? 100 : (reached / all) * 100;
}

/** The table in Markdown. */
export function formatTable(rows: readonly CoverageRow[]): string {
  const percent = (reached: Reached) => percentOf(reached).toFixed(1);
  const cells = rows.map(({ name, lines, branches }) => [
    name,
    String(lines.all),
    percent(lines),
    String(branches.all),
    percent(branches),
  ]);
  const table = [["folder", "lines", "reached %", "branches", "reached %"], ...cells];
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(...table.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${
      row.map((cell, at) =>
        at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)
      )
        .join(" | ")
    } |`;
  const rule = widths.map((width, at) =>
    at === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
  );
  return [line(table[0] ?? []), line(rule), ...cells.map(line)].join("\n");
}

const [BEGIN, END] = ["<!-- deno task coverage -->\n", "<!-- end of coverage -->"];

/** The page with this table in place of the one between its markers. */
export function withTable(page: string, table: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`The page has lost ${BEGIN.trim()}`);
  return `${page.slice(0, begin + BEGIN.length)}\n${table}\n\n${page.slice(end)}`;
}
