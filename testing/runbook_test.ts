import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { missingLine, runbookSteps } from "./runbook.ts";

Deno.test("a runbook's steps are its blocks of commands, each with what it shows", () => {
  const page = [
    "# A page\n\n```sh\nbefore the parts\n```\n",
    '## First\n\n```sh\ndeno task cutover kill --why "x"\n```\n\nThen:\n\n```text\nok\n\n… done\n```\n',
    "## Repair\n\n- If so:\n\n  ```sh\n  a \\\n    b\n  ```\n\n```json\n{}\n```\n",
  ].join("\n");
  deepStrictEqual(runbookSteps(page), [
    { part: "First", command: 'deno task cutover kill --why "x"', shows: ["ok", "… done"] },
    { part: "Repair", command: "a \\\n  b", shows: [] },
  ]);
});

Deno.test("a line that an output lacks is named: any text at …, columns of any width, in order", () => {
  const output = "operation    mode\ngetHealth    legacy  (held)\nall is well";
  for (
    const [shows, missing] of [
      [[], undefined],
      [["getHealth legacy"], undefined],
      [["operation … mode", "get… legacy (…)", "all is well"], undefined],
      [["getHealth shadow"], "getHealth shadow"],
      [["all is well", "getHealth"], "getHealth"],
      [["getHealth", "getHealth"], "getHealth"],
      [["(held]"], "(held]"],
    ] as const
  ) strictEqual(missingLine(shows, output), missing, shows.join());
});
