import { deepStrictEqual, doesNotMatch, match, rejects, strictEqual } from "node:assert/strict";
import { UsageError } from "../../command_line.ts";
import { loadRecordings } from "../parity/recordings.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startLegacy } from "../legacy/server.ts";
import { freshDatabase } from "../../testing/database.ts";
import { zonedDatabase } from "../../testing/zoned_database.ts";
import { eventually } from "../../testing/eventually.ts";
import { run } from "./parity_main.ts";
import { createRecorder } from "../record/recorder.ts";
import { createRedactor } from "../redact/redact.ts";
import { listWanted } from "../record/recordings_table.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Runs the task, with its own permissions. */
async function parity(args: string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "parity", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", BASE: "", DATABASE_URL: "", ...env },
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test("verify without approvals says that the stand-in is the same, and exits with 0", async () => {
  await using database = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const env = { BASE: old.url, DATABASE_URL: database.url };

  const { code, out } = await parity(["verify", "--no-approvals", "--markdown"], env);
  strictEqual(code, 0);
  match(out, /^\| createLot \| 47 \| 47 \| 0 \| 0 \|$/m);
  match(out, /^147 the same, 0 changed as approved, 0 wrong, of 147 exchanges$/m);
});

Deno.test("record writes a file that verify accepts", async () => {
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

Deno.test("recordings name the server's time zone, and verify warns of another", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin" });
  await resetToSeed(database.sql, await loadSeed());
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const folder = await Deno.makeTempDir();
  const [list, file] = [`${folder}/list.txt`, `${folder}/a.json`];
  try {
    await Deno.writeTextFile(
      list,
      JSON.stringify({
        method: "POST",
        path: "/api/lots",
        headers: { "content-type": "application/json" },
        body: '{"lot_code": "L-1", "created_at": "2026-10-25 02:30"}',
      }),
    );
    const env = { BASE: old.url, DATABASE_URL: database.url };
    const record = ["record", file, "--requests", list, "--allow-writes"];
    strictEqual((await parity(record, env)).code, 0);
    const { recorded, scenarios } = await loadRecordings(file);
    strictEqual(recorded.time_zone, "Europe/Berlin");
    match(scenarios[0]?.steps[0]?.response.body ?? "", /2026-10-25T01:30:00.000Z/);

    const same = await parity(["verify", "--yes-wipe-this-database"], env);
    match(same.err, /^WARNING: the recorded server read .* in UTC, .* in Europe\/Berlin: /m);
    const quiet = await parity(["verify", file, "--base", old.url], env);
    doesNotMatch(quiet.err, /WARNING/);
    const warned = await parity(["verify", file, "--base", old.url], { ...env, TIME_ZONE: "UTC" });
    match(warned.err, /^WARNING: the recorded server read .* in Europe\/Berlin, .* in UTC: /m);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a database with other rows stays unchanged, unless its owner insists", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into lots (lot_code) values ('OURS-1')`;
  // Nothing listens there: the refusal must come before the first request.
  const env = { BASE: "http://127.0.0.1:9", DATABASE_URL: database.url };

  const refused = await parity(["verify"], env);
  strictEqual(refused.code, 2);
  match(refused.err, /rows of its own \(in lots\).*--yes-wipe-this-database/);
  deepStrictEqual([...await sql`select lot_code from lots`], [{ lot_code: "OURS-1" }]);

  const insisted = await parity(["verify", "--yes-wipe-this-database"], env);
  strictEqual(insisted.code, 1);
  deepStrictEqual([...await sql`select from lots where lot_code = 'OURS-1'`], []);
});

Deno.test("what empties tables uses DATABASE_URL, never a direct address that is left from elsewhere", async () => {
  await using database = await freshDatabase();
  await using other = await freshDatabase();
  await other.sql`insert into lots (lot_code) values ('OTHERS-1')`;
  const { code } = await parity(["verify", "--yes-wipe-this-database"], {
    BASE: "http://127.0.0.1:9",
    DATABASE_URL: database.url,
    DATABASE_DIRECT_URL: other.url,
  });
  strictEqual(code, 1);
  deepStrictEqual([...await other.sql`select lot_code from lots`], [{ lot_code: "OTHERS-1" }]);
});

async function startSeeded() {
  const database = await freshDatabase();
  await resetToSeed(database.sql, await loadSeed());
  const old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const folder = await Deno.makeTempDir();
  return {
    database,
    base: old.url,
    file: (name: string) => `${folder}/${name}`,
    [Symbol.asyncDispose]: async () => {
      await Deno.remove(folder, { recursive: true });
      await old[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

Deno.test("any server is recorded from a list and verified, without a database or a write", async () => {
  await using old = await startSeeded();
  await Deno.writeTextFile(
    old.file("list.txt"),
    "GET /api/health\nGET /api/traceability/RAW-BEEF-001?email=anna@plant.example\nPOST /api/lots\n",
  );
  const recorded = await parity(
    ["record", old.file("a.json"), "--requests", old.file("list.txt"), "--base", old.base],
    {},
  );
  deepStrictEqual([recorded.code, recorded.out], [
    0,
    "SKIPPED 1 requests: it may change something, such as line 3 #0\n" +
    `2 scenarios recorded in ${old.file("a.json")}\n`,
  ]);
  doesNotMatch(await Deno.readTextFile(old.file("a.json")), /anna@plant/);

  const same = await parity(["verify", old.file("a.json"), "--base", old.base], {});
  deepStrictEqual([same.code, same.out], [
    0,
    "SKIPPED 1 requests: it holds a pseudonym, such as " +
    "line 2 #0\n" +
    "1 the same, 0 changed as approved, 0 wrong, of 1 exchanges\n",
  ]);
});

Deno.test("clients' exchanges are recorded live, and verifying them doesn't empty a database", async () => {
  await using old = await startSeeded();
  const { sql, url } = old.database;
  await sql`insert into lots (lot_code) values ('OURS-1')`;
  const redactor = createRedactor("a secret of more than thirty-two characters");
  await using recorder = createRecorder({ sql, redactor, log: () => {}, everyMs: 20 });
  const path = "/api/traceability/OURS-1";
  const response = await fetch(old.base + path);
  const body = new Uint8Array(await response.arrayBuffer());
  const file = old.file("live.json");
  const recording = parity(["record", file, "--live", "1", "--per-operation", "2"], {
    DATABASE_URL: url,
  });
  await eventually("it is recorded", async () => {
    recorder.offer({
      operation: "getTraceability",
      upstream: "legacy",
      at: Date.now(),
      request: { method: "GET", target: path, headers: [], body: new Uint8Array() },
      response: { status: response.status, headers: [...response.headers], body, ms: 1 },
    });
    return (await listWanted(sql))[0]?.stored.getTraceability === 2;
  });
  const { code, out } = await recording;
  deepStrictEqual([code, out], [0, `2 scenarios recorded in ${file}\n`]);
  deepStrictEqual(
    (await loadRecordings(file)).scenarios.map(({ name }) => name),
    ["getTraceability 1", "getTraceability 2"],
  );

  const verified = await parity(["verify", file, "--base", old.base], { DATABASE_URL: url });
  deepStrictEqual([verified.code, verified.out], [
    0,
    "2 the same, 0 changed as approved, 0 wrong, of 2 exchanges\n",
  ]);
  await sql`update lots set weight_kg = 7 where lot_code = 'OURS-1'`;
  strictEqual((await parity(["verify", file, "--base", old.base], {})).code, 1);
});

Deno.test("a live recording without exchanges writes no file, and says so", async () => {
  await using old = await startSeeded();
  const { url, sql } = old.database;
  const file = old.file("none.json");
  const { code, out } = await parity(["record", file, "--live", "1"], { DATABASE_URL: url });
  strictEqual(code, 1);
  match(out, /^nothing recorded/);
  deepStrictEqual(await Deno.stat(file).catch(() => "none"), "none");
  deepStrictEqual([...await sql`select from lotline.recordings`], []);
});

Deno.test("the report is three files, the same each time, and exits with 1 when a route fails", async () => {
  await using old = await startSeeded();
  const { sql, url } = old.database;
  const report = async (folder: string, env: Record<string, string> = { DATABASE_URL: url }) => {
    const args = ["report", "--since", "2026-11-25", "--old-server", "Express 4.18"];
    args.push("--out", old.file(folder));
    const { code, out } = await parity(args, env);
    const read = (name: string) => Deno.readTextFile(`${old.file(folder)}/report.${name}`);
    return { code, out, files: [await read("md"), await read("html"), await read("json")] };
  };
  await sql`insert into lotline.route_outcomes
    values ('login', 1, '2026-11-25T08:00Z', 'same', '', 5)`;
  const direct = {
    DATABASE_URL: Object.assign(new URL(url), { port: "1" }).href,
    DATABASE_DIRECT_URL: url,
  };
  const [one, two] = [await report("one"), await report("two", direct)];
  strictEqual(one.code, 1);
  match(one.out, /^Ready to retire the old server: no, because\n- getHealth: it is on legacy, /);
  match(one.out, /^From 2026-11-25T00:00:00.000Z until 2026-11-25T08:01:00.000Z: see /m);
  deepStrictEqual(one.files, two.files);

  await sql`insert into lotline.route_outcomes
    values ('login', 1, '2026-11-25T08:00Z', 'different', '', 1)`;
  const three = await report("three");
  strictEqual(three.code, 1);
  for (const file of three.files) {
    match(file, /1 unapproved difference/);
    match(file, /Express 4\.18/);
  }
});

const MISTAKES: [what: string, args: string[]][] = [
  ["no command", []],
  ["an unknown command", ["check"]],
  ["an unknown option", ["verify", "--approvals"]],
  ["another command's option", ["verify", "--allow-writes"]],
  ["record without a file", ["record"]],
  ["two files", ["verify", "a.json", "b.json"]],
  ["report with a file", ["report", "a.json"]],
  ["two sources to record from", ["record", "a.json", "--live", "3", "--requests", "b"]],
];

for (const [what, args] of MISTAKES) {
  Deno.test(`${what} makes no sense`, async () => {
    await rejects(run(args, {}), UsageError);
  });
}

Deno.test("invalid arguments print the usage, with exit status 2", async () => {
  const { code, err } = await parity(["check"], {});
  strictEqual(code, 2);
  match(err, /^usage: .+ task parity/);
});

const REFUSED: [what: string, args: string[], env: Record<string, string>, says: RegExp][] = [
  ["no server", ["verify"], {}, /: Name the server/],
  ["a server that is none", ["verify", "--base", "plant"], {}, /: "plant" is no address/],
  ["a broken setting", ["verify"], { BASE: "plant" }, /BASE is invalid/],
  ["no such file", ["verify", "/none.json"], { BASE: "http://127.0.0.1:9" }, /can't be read/],
  ["no database", ["record", "/tmp/a.json", "--live", "3"], {}, /: Name the database/],
  ["no seconds", ["record", "/tmp/a.json", "--live", "0"], {}, /: --live is a whole number/],
  ["an unknown side", ["record", "/tmp/a.json", "--live", "3", "--side", "x"], {}, /: A side is/],
  ["a report without a database", ["report"], {}, /: Name the database/],
  ["an empty name", ["report", "--old-server", " "], {}, /: --old-server takes 1 to 200/],
  ["a day that isn't one", ["report", "--since", "2026-02-31T25:00Z"], {}, /: --since takes/],
  ["a moment without its zone", ["report", "--until", "2026-11-25T08:00"], {}, /: --until takes/],
  [
    "an unavailable database",
    ["report"],
    { DATABASE_URL: "postgres://127.0.0.1:9/none" },
    /ECONNREFUSED/,
  ],
];

for (const [what, args, env, says] of REFUSED) {
  Deno.test(`${what} is reported in a sentence`, async () => {
    await rejects(run(args, env), (error) => says.test(String(error)));
  });
}

Deno.test("a failure to find out exits with 2, a wrong response with 1", async () => {
  const { code, err } = await parity(["report"], { DATABASE_URL: "postgres://127.0.0.1:9/none" });
  deepStrictEqual([code, /^The database can't be reached: .*ECONNREFUSED/.test(err)], [2, true]);
});
