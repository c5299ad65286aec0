import { deepStrictEqual, ok } from "node:assert/strict";
import { ACCESS, type Access, ROLES } from "../auth/access.ts";
import { KeysSettings, UserSettings } from "../auth/config.ts";
import { ApiSettings, readSettings } from "../config.ts";
import { GrantsSettings, MigrateSettings } from "../db/config.ts";
import { DOCTOR_SETTINGS } from "../doctor/settings.ts";
import { JobsSettings, WorkerSettings } from "../jobs/config.ts";
import { fileSettingOf, secretNames } from "../secret_files.ts";
import { startApi } from "../testing/api.ts";
import { demoDatabase } from "../testing/demo_database.ts";
import { allowedEnvironment, envExample, settingNames } from "../testing/settings.ts";
import {
  listMissing,
  listPages,
  listReferences,
  readPage,
  type Reference,
  referencesOf,
} from "./pages.ts";
import { hasTest, listMissingTests, shownTestsOf } from "./shown_tests.ts";

/** What names a file of the cutover is checked by its own test. */
const isOfCutover = ({ path }: Reference) => path.startsWith("cutover/");

Deno.test("every file that a page links to or names is there", async () => {
  const references = (await listReferences(await listPages())).filter((one) => !isOfCutover(one));
  for (const page of ["README.md", "docs/security.md", "docs/limits.md"]) {
    ok(references.filter((one) => one.page === page).length > 10, page);
  }
  deepStrictEqual(await listMissing(references), []);
});

Deno.test("each surrounding of docs/managed-postgres.md is shown by a test that is there", async () => {
  const shown = shownTestsOf(await readPage("docs/managed-postgres.md"));
  ok(shown.length > 30, `${shown.length} rows`);
  const ofService = shown.filter(({ file }) => !file.startsWith("cutover/"));
  deepStrictEqual(await listMissingTests(ofService), []);
});

Deno.test("a test is found by a part of its name, and only by that", () => {
  const source = 'Deno.test("a lot is stored", x);\nDeno.test(`a ${what} is ${status}`, y);';
  deepStrictEqual(
    ["lot is", "a … is …", "a lot is refused", "a … was", "x"].map((name) => hasTest(source, name)),
    [true, true, false, false, false],
  );
  const [row] = shownTestsOf("## How each is tested\n| a | b |\n| - | - |\n| x | no test |\n");
  deepStrictEqual(row?.file, "");
});

Deno.test("a page's references are its links, its paths, and files at the top", async () => {
  const text = "[a](../b.md#c) [d](https://e.f/g.ts) `db/lots.ts` `main.ts` `keys.json` `jobs/`\n" +
    "```sh\n[x](y.md)\n```\n";
  const references = referencesOf("docs/page.md", text);
  deepStrictEqual(references.map(({ path }) => path), ["b.md", "db/lots.ts", "main.ts"]);
  const missing = await listMissing(references);
  deepStrictEqual(missing, [{ page: "docs/page.md", path: "b.md" }]);
});

Deno.test("the README's five curl lines work", async () => {
  await using database = await demoDatabase(new Date());
  await using api = await startApi({ databaseUrl: database.url });
  const [, block = ""] =
    /## The five operations[^]*?```sh\n([^]*?)```/.exec(await readPage("README.md")) ??
      [];
  const lines = block.replaceAll("\\\n", " ").trim().split("\n");
  const statuses: string[] = [];
  for (const line of lines) {
    const command = line.replace("http://127.0.0.1:8000", api.url) +
      " --fail-with-body --write-out '\\n%{http_code}'";
    const { stdout } = await new Deno.Command("sh", { args: ["-c", command] }).output();
    statuses.push(new TextDecoder().decode(stdout).split("\n").at(-1) ?? "");
  }
  deepStrictEqual(statuses, ["200", "200", "200", "201", "201"]);
});

Deno.test(".env.example sets every setting of API and worker, each with a line that explains it", async () => {
  const example = envExample(await readPage(".env.example"));
  const names = settingNames([ApiSettings, WorkerSettings], { currentOnly: true });
  deepStrictEqual(Object.keys(example).sort(), [...names, "POSTGRES_PASSWORD"].sort());
  readSettings(ApiSettings, example);
  readSettings(WorkerSettings, example);
});

Deno.test(".env.example names the file of each secret", async () => {
  const page = await readPage(".env.example");
  for (const name of [ApiSettings, WorkerSettings].flatMap(secretNames)) {
    ok(page.includes(fileSettingOf(name)), name);
  }
});

for (
  const [task, schema] of [
    ["start", ApiSettings],
    ["worker", WorkerSettings],
    ["jobs", JobsSettings],
    ["migrate", MigrateSettings],
    ["grants", GrantsSettings],
    ["keys", KeysSettings],
    ["user", UserSettings],
    ["restored", UserSettings],
  ] as const
) {
  Deno.test(`deno task ${task} may read its settings, their old names, the files of secrets, and nothing else`, () => {
    deepStrictEqual(allowedEnvironment(task), settingNames([schema]));
  });
}

Deno.test("deno task doctor may read the settings of API and worker, and nothing else", () => {
  deepStrictEqual(allowedEnvironment("doctor"), settingNames(DOCTOR_SETTINGS));
});

Deno.test("docs/development.md has every task", async () => {
  const { tasks } = JSON.parse(await readPage("deno.json"));
  const page = await readPage("docs/development.md");
  const table = page.split("\n").filter((line) => line.startsWith("| `")).join("\n");
  for (const task of Object.keys(tasks)) {
    ok(new RegExp(`\`${task}[\` ]`).test(table), `${task} is missing`);
  }
});

Deno.test("docs/security.md shows the roles as they are", async () => {
  const page = await readPage("docs/security.md");
  const rows = page.split("\n").filter((line) => /^\| (operation|`\w+` `)/.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const [[, ...columns] = [], ...operations] = rows;
  const shown = Object.fromEntries(operations.map(([operation = "", ...cells]) => {
    const name = /^`(\w+)`/.exec(operation)?.[1] ?? operation;
    return [name, columns.filter((_, at) => cells[at] === "yes").sort()];
  }));
  const open = [
    ...(/^Open without a token:([^]*?)\n\n/m.exec(page)?.[1] ?? "").matchAll(
      /`(get\w+|login|documents)`/g,
    ),
  ]
    .map(([, name]) => name);

  const guarded: Record<string, string[]> = {};
  const unguarded: string[] = [];
  for (const [name, access] of Object.entries<Access>(ACCESS)) {
    if (access === "open") unguarded.push(name);
    else guarded[name] = [...(access === "any token" ? [...ROLES, "no role"] : access)].sort();
  }
  deepStrictEqual(shown, guarded);
  deepStrictEqual(open.sort(), unguarded.sort());
});
