import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { z } from "zod";
import { freshDatabase } from "../../testing/database.ts";
import { taskOutput } from "../../testing/task_output.ts";
import { isLegacyOperation, LEGACY_OPERATIONS, OPERATIONS } from "../exchange/operations.ts";
import { describeMode } from "../routes/routing.ts";
import { clearLatch, readRoutes, rollBack } from "../routes/routes_table.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** Runs `deno task cutover` with these arguments. */
const cutover = (words: readonly string[], databaseUrl = database.url) =>
  taskOutput(["cutover", ...words], { DATABASE_URL: databaseUrl });

const BY = { who: "ana", why: "a try" };
const NOTE = ["--why", "a \u001b[2Jtry", "--who", "ana"];
const Changes = z.array(z.object({ who: z.string(), what: z.string(), why: z.string() }));

/** The old operations that aren't on legacy. */
async function moved() {
  const { routes } = await readRoutes(sql);
  return [...routes.values()]
    .filter(({ operation, mode }) => isLegacyOperation(operation) && mode.name !== "legacy")
    .map(({ operation, mode }) => `${operation} ${describeMode(mode)}`);
}

Deno.test("a route is set and rolled back, and status and history show all of it", async () => {
  const table = (await cutover(["status"])).output.split("\n");
  match(table[0] ?? "", /^operation +mode +compared +lost +epoch +changed +held/);
  strictEqual(table.length, 1 + OPERATIONS.length + 1);
  match(table.at(-1) ?? "", /^No gateway has run on this database/);
  match(table[1] ?? "", /^getHealth +legacy +100 % +0 +never$/);
  match(table[3] ?? "", /^logout +service \(only Lotline has it\) +never +0 +never$/);

  deepStrictEqual(await cutover(["set", "login", "canary", "10%", "--force", ...NOTE]), {
    code: 0,
    output: "login is on canary 10 %, epoch 1",
    error: "",
  });
  strictEqual(
    (await cutover(["sample", "login", "50", ...NOTE])).output,
    "50 % of login are compared",
  );
  deepStrictEqual(await moved(), ["login canary 10 %"]);
  await rollBack(sql, { operation: "login", epoch: 1, why: "3 of 200 differ" });
  const held = await cutover(["set", "login", "shadow", ...NOTE]);
  deepStrictEqual([held.code, held.output, held.error], [
    1,
    "",
    "login was rolled back and is held until somebody clears it: 3 of 200 differ",
  ]);
  const all = await cutover(["set", "all", "shadow", ...NOTE]);
  deepStrictEqual([all.code, await moved()], [1, []], "none is moved when one may not be");
  strictEqual((await cutover(["clear", "login", ...NOTE])).output, "login can be moved again");
  strictEqual((await cutover(["clear", "login", ...NOTE])).output, "login is not held");

  const [head = "", ...rows] = (await cutover(["history", "login"])).output.split("\n");
  match(head, /^id +at +what +operation +from +to +compared +epoch +who +why$/);
  deepStrictEqual(rows.map((row) => row.split(/ {2,}/).slice(2).join("|")), [
    "clear|login|legacy|legacy|2|ana|a ?[2Jtry",
    "rollback, automatic|login|canary 10 %|legacy|2|gateway|3 of 200 differ",
    "sample|login|canary 10 %|canary 10 %|100 to 50 %|1|ana|a ?[2Jtry",
    "set|login|legacy|canary 10 %|1|ana|a ?[2Jtry",
  ]);
});

Deno.test("all routes go to shadow and back, and the kill switch is reported and released", async () => {
  const { code, output } = await cutover(["set", "all", "shadow", ...NOTE]);
  deepStrictEqual([code, output.split("\n").length], [0, 5], "those that can be compared");
  match(
    (await cutover(["rollback", "login", ...NOTE])).output,
    /^login is on legacy, and held there from now on\nEvidence so far stays in the report and .*\n.* cutover clear /,
  );
  const held = await cutover(["set", "login", "shadow", ...NOTE]);
  deepStrictEqual([held.code, held.output], [1, ""]);
  match(held.error, /^login was rolled back and is held until somebody clears it: ana: a /);
  match(
    (await cutover(["kill", ...NOTE])).output,
    /^The kill switch is on: within.*\nEvidence so far stays in the report/,
  );
  const killed = (await cutover(["status"])).output;
  match(killed, /^The kill switch is on: .* ana: a \?\[2Jtry\n/);
  match(killed, /^createLot +legacy \(killed; shadow after the release\) /m);
  const refused = await cutover(["set", "getHealth", "service", ...NOTE]);
  deepStrictEqual([refused.code, refused.output], [1, ""]);
  match(refused.error, /^The kill switch is on \(ana: /);
  match(
    (await cutover(["release", ...NOTE])).output,
    /^The kill switch is off: within .*: getHealth shadow, .*\nTheir evidence from before the kill /,
  );
  strictEqual((await moved()).length, 4);
  strictEqual((await cutover(["rollback", "all", ...NOTE])).output.split("\n").length, 4 + 1 + 2);
  match(
    (await cutover(["rollback", "all", ...NOTE])).output,
    /^getHealth is on legacy and held there already\n/,
  );
  const alone = async () => (await readRoutes(sql)).routes.get("createAudit")?.mode.name;
  strictEqual(await alone(), "service", "all are those that the old server has");
  const single = await cutover(["rollback", "createAudit", ...NOTE]);
  deepStrictEqual(
    [single.output.split("\n")[0], await alone()],
    ["createAudit is on legacy, and held there from now on", "legacy"],
  );
  match((await cutover(["status"])).output, /^createAudit +legacy \(404: only Lotline has it\) /m);
  for (const operation of LEGACY_OPERATIONS) await clearLatch(sql, { operation, ...BY });
  const untried = await cutover(["set", "all", "service", "--json", ...NOTE]);
  deepStrictEqual([untried.code, untried.output, await moved()], [2, "", []]);
  match(untried.error, /^getHealth is on legacy without the verdict pass: [^]*\n.*, add --force$/);
  match(untried.error, /^createLot .* the writes of createLot are no longer compared: /m);
  strictEqual((await cutover(["set", "all", "service", "--force", ...NOTE])).code, 0);
  strictEqual(await alone(), "legacy");
  await cutover(["rollback", "all", ...NOTE]);
});

Deno.test("without --who the machine's user is recorded; --json has the same for a program", async () => {
  const set = await cutover(["set", "getAudit", "legacy", "--why", "x", "--json"]);
  deepStrictEqual([set.code, set.error], [0, ""]);
  strictEqual(JSON.parse(set.output)[0].route.mode, "legacy");
  const { output } = await cutover(["history", "getAudit", "--limit", "1", "--json"]);
  const [change] = Changes.parse(JSON.parse(output));
  strictEqual(change?.why, "x");
  const user = new TextDecoder().decode(
    (await new Deno.Command("id", { args: ["-un"] }).output())
      .stdout,
  ).trim();
  strictEqual(change?.who, user);
  const status = JSON.parse((await cutover(["status", "--json"])).output);
  deepStrictEqual(status.kill_switch, { killed: false });
  strictEqual(status.routes.length, OPERATIONS.length);
});

Deno.test("an unknown command prints the usage, a mistake prints one sentence", async () => {
  for (const words of [[], ["constructor"], ["kill", "now", "--why", "x"]]) {
    const { code, output, error } = await cutover(words);
    deepStrictEqual([code, output], [2, ""], words.join(" "));
    match(error, /^usage: DATABASE_URL=… deno task cutover <command>/);
  }
  const mistakes: [words: string[], error: RegExp][] = [
    [["set", "login", "shadow"], /^Say why with --why/],
    [["kill", "--why", " "], /^--why takes 1 to 500/],
    [["set", "login", "canary", "100", ...NOTE], /^The share of a canary is a whole number/],
    [["set", "login", "shadow", "10", ...NOTE], /^Only canary has a share$/],
    [["set", "login", "mirror", ...NOTE], /^A mode is one of/],
    [["set", "Login", "shadow", ...NOTE], /^An operation is one of getHealth /],
    [["history", "--limit", "0"], /^--limit is a whole number from 1 to 1000$/],
    [["status", "--why", "x"], /--why/],
  ];
  const responses = await Promise.all(mistakes.map(([words]) => cutover(words)));
  for (const [at, [words, sentence]] of mistakes.entries()) {
    deepStrictEqual([responses[at]?.code, responses[at]?.output], [2, ""], words.join(" "));
    match(responses[at]?.error ?? "", sentence);
  }
  const impossible = await cutover(["set", "createAudit", "shadow", ...NOTE]);
  strictEqual(impossible.code, 1);
  ok(impossible.error.includes("is not in the old API"), impossible.error);
  strictEqual((await cutover(["status"], "mysql://x")).code, 2);
  await using unmigrated = await freshDatabase({ migrated: false });
  deepStrictEqual(await cutover(["status"], unmigrated.url), {
    code: 1,
    output: "",
    error:
      'The database lacks Lotline\'s tables: run deno task migrate (relation "lotline.kill_switch" does not exist)',
  });
});

Deno.test("drop lists the tables and fails; with --yes they are gone, and commands name the next step", async () => {
  await using database = await freshDatabase();
  const listed = await cutover(["drop"], database.url);
  deepStrictEqual([listed.code, listed.output], [1, ""]);
  match(listed.error, /^table +size\n(lotline\.\w+ +\d+ (kB|bytes)\n){15}These tables, /);
  const dropped = await cutover(["drop", "--yes"], database.url);
  deepStrictEqual([dropped.code, dropped.error], [0, ""]);
  match(dropped.output, /^15 tables of the cutover were dropped\./);
  match((await cutover(["status"], database.url)).error, /: run deno task migrate \(/);
});

Deno.test("the commands use DATABASE_DIRECT_URL, and name it when it is wrong", async () => {
  await using database = await freshDatabase();
  const nowhere = Object.assign(new URL(database.url), { port: "1" }).href;
  const direct = { DATABASE_URL: nowhere, DATABASE_DIRECT_URL: database.url };
  for (const words of [["status"], ["drop", "--yes"]]) {
    const { code, error } = await taskOutput(["cutover", ...words], direct);
    deepStrictEqual([code, error], [0, ""]);
  }
  const wrong = { DATABASE_URL: database.url, DATABASE_DIRECT_URL: nowhere };
  for (const words of [["status"], ["drop", "--yes"]]) {
    const { code, error } = await taskOutput(["cutover", ...words], wrong);
    strictEqual(code, 1);
    match(error, /^The database can't be reached: check host and port in DATABASE_DIRECT_URL, /);
  }
});
