import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { startLegacy } from "../legacy/server.ts";
import { freshDatabase } from "../testing/database.ts";
import { loadRecordings } from "./recordings.ts";

const PROGRAM = new URL("parity_main.ts", import.meta.url).pathname;

async function parity(args: string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", PROGRAM, ...args],
    env,
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test("verify without approvals says that the stand-in is the same, and exits with 0", async () => {
  await using database = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const env = { BASE: old.url, DATABASE_URL: database.url };

  const plain = await parity(["verify", "--no-approvals"], env);
  deepStrictEqual(
    [plain.code, plain.out],
    [0, "147 the same, 0 changed as approved, 0 wrong, of 147 exchanges\n"],
  );

  const evidence = await parity(["report"], env);
  strictEqual(evidence.code, 1, "no approval is used");
  match(evidence.out, /^\| createLot \| 47 \| 47 \| 0 \| 0 \|$/m);
  match(evidence.out, /^UNUSED approval .*$/m);
  match(evidence.out, /^147 the same, .* exchanges; \d+ approvals unused$/m);
});

Deno.test("record writes a file that can be checked against", async () => {
  await using database = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const file = await Deno.makeTempFile();
  try {
    const { code, out } = await parity(["record", file], {
      BASE: old.url,
      DATABASE_URL: database.url,
    });
    deepStrictEqual([code, out], [0, `122 scenarios recorded in ${file}\n`]);
    const names = ({ scenarios }: Awaited<ReturnType<typeof loadRecordings>>) =>
      scenarios.map(({ name, steps }) => [name, ...steps.map(({ response }) => response.status)]);
    deepStrictEqual(names(await loadRecordings(file)), names(await loadRecordings()));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a database with rows of its own is left alone, unless its owner insists", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into lots (lot_code) values ('OURS-1')`;
  // Nobody listens there: the refusal must come before the first request.
  const env = { BASE: "http://127.0.0.1:9", DATABASE_URL: database.url };

  const refused = await parity(["verify"], env);
  strictEqual(refused.code, 2);
  match(refused.err, /rows of its own \(in lots\).*--yes-wipe-this-database/);
  deepStrictEqual([...await sql`select lot_code from lots`], [{ lot_code: "OURS-1" }]);

  const insisted = await parity(["verify", "--yes-wipe-this-database"], env);
  strictEqual(insisted.code, 1);
  deepStrictEqual([...await sql`select from lots where lot_code = 'OURS-1'`], []);
});

const MISTAKES: [what: string, args: string[], env: Record<string, string>][] = [
  ["no mode", [], {}],
  ["an unknown mode", ["check"], {}],
  ["an unknown option", ["verify", "--approvals"], {}],
  ["record without a file", ["record"], {}],
  ["verify with a file", ["verify", "a.json"], {}],
  ["no BASE", ["verify"], { BASE: "" }],
  ["no DATABASE_URL", ["verify"], { DATABASE_URL: "" }],
];

for (const [what, args, env] of MISTAKES) {
  Deno.test(`${what}: usage, exit status 2, and no connection to the database`, async () => {
    const unreachable = { BASE: "http://127.0.0.1:9", DATABASE_URL: "postgres://127.0.0.1:9/none" };
    const { code, err } = await parity(args, { ...unreachable, ...env });
    strictEqual(code, 2);
    match(err, /deno task parity verify/);
  });
}
