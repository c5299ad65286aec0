import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { bookSteps, practiceSteps, readBookSteps } from "./book.ts";
import { greeting } from "./servers.ts";

Deno.test("a step of the book is a section with commands of the cutover", () => {
  const page = [
    "# The book\n\n```sh\ndeno task cutover before\n```\n",
    "## 1. First\n\n```sh\nexport A=b\nLEGACY_URL=http://x deno task cutover calibrate\n",
    "deno task cutover plan login --soak 60 --samples 500 # slowly\n```\n",
    "## Talk\n\n`deno task cutover kill`\n",
  ].join("");
  const steps = bookSteps(page);
  deepStrictEqual(steps, [{
    title: "1. First",
    commands: [
      "deno task cutover calibrate",
      "deno task cutover plan login --soak 60 --samples 500",
    ],
  }]);
  strictEqual(
    practiceSteps(steps)[0]?.commands[1],
    "deno task cutover plan login --soak 0.5 --samples 100",
  );
});

Deno.test("the practice prints every step of the book, in the book's order", async () => {
  const steps = await readBookSteps();
  const commands = steps.flatMap(({ commands }) => commands);
  for (const name of ["calibrate", "set", "probe", "plan", "rollback", "clear", "kill"]) {
    ok(commands.some((command) => command.split(" ")[3] === name), name);
  }
  const text = greeting(
    {
      stateFolder: "/state",
      databaseUrl: "postgres://127.0.0.1/lotline",
      serviceUrl: "http://127.0.0.1:1",
      legacyPort: 2,
      gatewayPort: 3,
      adminPort: 4,
      dryRunSecret: "",
      gatewayToken: "",
      metricsPort: undefined,
    },
    practiceSteps(steps),
    undefined,
  );
  const printed = text.split("\n").map((line) => line.trim())
    .filter((line) => line.startsWith("deno task cutover "));
  deepStrictEqual(printed, practiceSteps(steps).flatMap(({ commands }) => commands));
});
