import { match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { REQUIRED, startApi } from "../testing/api.ts";
import { CUTOVER } from "../testing/parts.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { shellPrograms } from "../testing/shell_programs.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";
import { readPage } from "./pages.ts";

const ROOT = new URL("../", import.meta.url);
const PASSWORD = "correct horse battery";

/** The commands of a step of docs/setup.md, without the values that are the reader's own. */
async function blocksOf(step: string): Promise<string> {
  const page = await readPage("docs/setup.md");
  const start = page.indexOf(`### ${step}\n`);
  ok(start > 0, step);
  const section = page.slice(start, page.indexOf("\n##", start));
  const blocks = [...section.matchAll(/```sh\n([^]*?)```/g)].map(([, block = ""]) => block);
  ok(blocks.length > 0, step);
  return blocks.join("\n").replaceAll(/^(?:ADMIN_URL|DATABASE|CONFIG)=.*\n/gm, "");
}

Deno.test("the steps of docs/setup.md run as pasted, and the doctor says that all is well", async () => {
  await using postgres = await ownPostgres(17, {
    hba: [
      "host all postgres 127.0.0.1/32 trust",
      "host all all 127.0.0.1/32 scram-sha-256",
    ],
  });
  await using folder = await temporaryFolder();
  const config = join(folder.path, "lotline");
  const bin = await shellPrograms(folder.path);
  const run = async (script: string, input = "") => {
    const process = new Deno.Command("bash", {
      args: ["-euo", "pipefail", "-c", script],
      cwd: ROOT,
      env: {
        PATH: `${bin}:${Deno.env.get("PATH")}`,
        ADMIN_URL: postgres.address().replace(/\?$/, ""),
        DATABASE: "plant",
        CONFIG: config,
        NO_COLOR: "1",
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await new Blob([input]).stream().pipeTo(process.stdin);
    const { code, stdout, stderr } = await process.output();
    const [output, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    strictEqual(code, 0, `${output}\n${errors}`);
    return output ?? "";
  };

  await run(await blocksOf("2. The database and its owner"));
  const shown = await run(
    await blocksOf("3. Tables, users of the database, keys") +
      await blocksOf("4. The first user"),
    `${PASSWORD}\n`,
  );
  match(shown, /^lotline_api is new .*: its address is in \S+\/api\.env$/m);
  match(shown, /^made admin@plant\.example \([\w-]+\), ADMIN$/m);
  ok(!shown.includes("postgres://"), "no password is shown");

  const api = await settingsOf(join(config, "api.env"));
  const worker = await settingsOf(join(config, "worker.env"));
  const users = ["api", "worker", ...await hasGateway() ? ["gateway"] : []];
  for (const user of users) {
    const { DATABASE_URL } = await settingsOf(join(config, `${user}.env`));
    ok(DATABASE_URL?.startsWith(`postgres://lotline_${user}:`), user);
  }
  const databaseUrl = api.DATABASE_URL ?? "";
  await using first = await startApi({ databaseUrl, environment: { ...REQUIRED, ...api } });
  await using _second = await startApi({ databaseUrl, environment: api });
  await using _worker = await startWorker({ databaseUrl: worker.DATABASE_URL ?? "" });
  const login = await first.post("/api/login", {
    email: "admin@plant.example",
    password: PASSWORD,
  });
  strictEqual(login.status, 200, login.text);

  const checked = await run(await blocksOf("6. The check"));
  strictEqual([...checked.matchAll(/^all is well$/gm)].length, 2, checked);
  // After an update the same commands find nothing to do.
  const again = await run(
    `set -a; . "$CONFIG/owner.env"; deno task migrate; deno task grants --apply --env "$CONFIG"`,
  );
  strictEqual([...again.matchAll(/^lotline_\w+ has the rights of/gm)].length, users.length, again);
});

/** Whether this tree has the cutover, whose gateway has a user of its own. */
async function hasGateway(): Promise<boolean> {
  const folders = CUTOVER.map((name) => Deno.stat(new URL(name, ROOT)).catch(() => undefined));
  return (await Promise.all(folders)).some((folder) => folder !== undefined);
}

/** The settings in a file for systemd and shells. */
async function settingsOf(file: string): Promise<Record<string, string>> {
  const lines = (await Deno.readTextFile(file)).trim().split("\n");
  return Object.fromEntries(lines.map((line) => {
    const end = line.indexOf("=");
    return [line.slice(0, end), line.slice(end + 1).replaceAll("'", "")];
  }));
}
