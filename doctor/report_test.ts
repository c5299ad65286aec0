import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { failure, notChecked, note, ok as well, warning } from "./findings.ts";
import { textOf } from "./report.ts";

const FINDINGS = [
  failure("database", "The database can't be reached", "check host and port"),
  well("settings", "The settings are valid"),
  warning("time zone", "They differ", "set TIME_ZONE"),
];

Deno.test("what has to be done comes last, below what was found", () => {
  strictEqual(
    textOf(FINDINGS),
    [
      "ok       settings   The settings are valid",
      "warning  time zone  They differ",
      "                    → set TIME_ZONE",
      "FAILURE  database   The database can't be reached",
      "                    → check host and port",
      "",
      "1 failure, 1 warning, 0 notes",
    ].join("\n"),
  );
});

Deno.test("without failures and warnings all is well", () => {
  const lines = textOf([well("a", "It works"), note("b", "It is odd")]).split("\n");
  deepStrictEqual(lines.slice(-2), ["0 failures, 0 warnings, 1 note", "all is well"]);
  ok(!textOf(FINDINGS.slice(1)).includes("well"));
});

Deno.test("checks that couldn't be made share a row for each reason", () => {
  const why = "the database can't be used";
  const text = textOf([
    notChecked("jobs", why),
    notChecked("valkey", "odd"),
    notChecked("disk", why),
  ]);
  deepStrictEqual(text.split("\n").slice(0, 2), [
    "note     not checked  jobs, disk: the database can't be used",
    "note     valkey       Not checked: odd",
  ]);
});

Deno.test("a line is as wide as the terminal, and a long word stays whole", () => {
  const path = `/run/${"lotline/".repeat(8)}keys.json`;
  const text = textOf([
    failure("keys", `The file ${path} can be read by others on this machine`, `chmod 600 ${path}`),
  ], { width: 60 });
  for (const line of text.split("\n")) ok(line.length <= 60 || line.includes(path), line);
  ok(text.includes(path));
});

Deno.test("colours are on request, and a text can't steer the terminal", () => {
  const odd = [failure("jobs", "A kind \x1b[2J", "see it")];
  ok(!textOf(odd).includes("\x1b"));
  ok(textOf(odd, { hasColors: true }).startsWith("\x1b[31mFAILURE\x1b[0m"));
});
