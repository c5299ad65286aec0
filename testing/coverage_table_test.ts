import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { formatTable, isMeasured, readLcov, tableOf, withTable } from "./coverage_table.ts";
import { CUTOVER } from "./parts.ts";

const record = (path: string, [lines, linesReached, branches, branchesReached]: number[]) =>
  `SF:/tree/${path}\nFN:1,f\nBRF:${branches}\nBRH:${branchesReached}\nDA:1,3\nLH:${linesReached}\nLF:${lines}\nend_of_record\n`;

const REPORT = [
  record("db/lots.ts", [10, 9, 4, 2]),
  record("db/pool.ts", [30, 27, 4, 4]),
  record("db/pool_test.ts", [100, 0, 0, 0]),
  record("main.ts", [5, 5, 0, 0]),
  record("testing/api.ts", [100, 0, 0, 0]),
  record(`${CUTOVER[0]}/main.ts`, [8, 2, 2, 1]),
].join("");

Deno.test("coverage is summed up by folder, of the service and of the cutover, without tests and tools", () => {
  const { service, cutover } = tableOf(readLcov(REPORT, "/tree/"));
  strictEqual(
    formatTable([...service, ...cutover]),
    [
      "| folder      | lines | reached % | branches | reached % |",
      "| ----------- | ----: | --------: | -------: | --------: |",
      "| db          |    40 |      90.0 |        8 |      75.0 |",
      "| top level   |     5 |     100.0 |        0 |     100.0 |",
      "| **service** |    45 |      91.1 |        8 |      75.0 |",
      `| ${(CUTOVER[0] ?? "").padEnd(11)} |     8 |      25.0 |        2 |      50.0 |`,
      "| **cutover** |     8 |      25.0 |        2 |      50.0 |",
    ].join("\n"),
  );
});

Deno.test("tools, tests and generated files are not measured", () => {
  const measured = [
    "main.ts",
    "db/lots.ts",
    `${CUTOVER[0]}/main.ts`,
    `${CUTOVER[0]}/proxy/server.ts`,
  ];
  const others = [
    "db/lots_test.ts",
    "contract/types.gen.ts",
    "contract/media_typer.d.ts",
    "dev/dev.ts",
  ];
  const tools = [`${CUTOVER[0]}/testing/gateway.ts`, `${CUTOVER[0]}/bench/gateway.ts`];
  deepStrictEqual([...measured, ...others, ...tools].filter(isMeasured), measured);
});

Deno.test("a new table replaces the one of the page, and a page without its markers is refused", () => {
  const page = "# Coverage\n\n<!-- deno task coverage -->\n\n| old |\n\n<!-- end of coverage -->\n";
  strictEqual(withTable(page, "| new |"), page.replace("old", "new"));
  throws(() => withTable("# Coverage\n", "| new |"), /has lost/);
});
