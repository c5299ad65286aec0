import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import postgres from "postgres";
import { delay } from "../timing.ts";
import { postgresBinaries } from "./postgres_binaries.ts";
import { startPostgres } from "./postgres.ts";
import { PROJECT_FOLDER, serverUser } from "./state_folder.ts";
import { isRunning } from "./tied_process.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

const settings = { fsync: "off" };

async function connected<T>(url: string, use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    ok(i < 1000, `never came true: ${what}`);
    await delay(10);
  }
}

Deno.test("a data folder that is a link stays one, and its target is filled", async () => {
  await using folder = await temporaryFolder();
  const [link, target] = [`${folder.path}/db`, `${folder.path}/disk/there`];
  await Deno.mkdir(`${folder.path}/disk`);
  // Incomplete, as a killed run leaves it.
  await Deno.mkdir(target);
  await Deno.writeTextFile(`${target}/PG_VERSION`, "");
  await Deno.symlink("disk/there", link);
  await using server = await startPostgres({ major: 17, dataDir: link, settings });
  strictEqual((await Deno.lstat(link)).isSymlink, true);
  strictEqual((await Deno.readTextFile(`${target}/PG_VERSION`)).trim(), "17");
  strictEqual(server.dataDir, await Deno.realPath(target));
});

for (const major of [15, 17] as const) {
  Deno.test(`PostgreSQL ${major} starts on a free port with uuid-ossp, UTC and UTF-8`, async () => {
    await using folder = await temporaryFolder();
    await using server = await startPostgres({ major, dataDir: `${folder.path}/db`, settings });
    const [row] = await connected(server.url, async (sql) => {
      await sql`create extension "uuid-ossp"`;
      return await sql`
        select current_setting('server_version_num')::int / 10000 as major, version(),
               length(uuid_generate_v4()::text) as uuid, current_setting('TimeZone') as zone,
               current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
               current_setting('listen_addresses') as listens`;
    });
    match(row?.version, /^PostgreSQL/);
    deepStrictEqual([row?.major, row?.uuid, row?.zone, row?.encoding, row?.fsync, row?.listens], [
      major,
      36,
      "UTC",
      "UTF8",
      "off",
      "127.0.0.1",
    ]);
  });
}

Deno.test("committed rows survive a crash and a start on the same port", async () => {
  await using folder = await temporaryFolder();
  await using server = await startPostgres({ major: 17, dataDir: `${folder.path}/db` });
  const { port, pid } = server;
  await connected(server.url, (sql) => sql`create table kept as select 42 as answer`.execute());
  await server.kill();
  ok(!isRunning(pid));
  await server.start();
  strictEqual(server.port, port);
  const [row] = await connected(server.url, (sql) => sql`select answer from kept`);
  strictEqual(row?.answer, 42);
});

Deno.test("a restart ends old connections and accepts new ones", async () => {
  await using folder = await temporaryFolder();
  const dataDir = `${folder.path}/db`;
  await using server = await startPostgres({ major: 17, dataDir, settings });
  const before = server.pid;
  await server.restart();
  notStrictEqual(server.pid, before);
  const [row] = await connected(server.url, (sql) => sql`select 1 as one`);
  strictEqual(row?.one, 1);
});

Deno.test("an incomplete data folder is made again", async () => {
  await using folder = await temporaryFolder();
  const dataDir = `${folder.path}/db`;
  await Deno.mkdir(`${dataDir}/base/1`, { recursive: true });
  await Deno.writeTextFile(`${dataDir}/PG_VERSION`, "");
  await Deno.mkdir(`${dataDir}.half/global`, { recursive: true });
  await using server = await startPostgres({ major: 17, dataDir, settings });
  const [row] = await connected(server.url, (sql) => sql`select 1 as one`);
  strictEqual(row?.one, 1);
});

Deno.test("a data folder of another major version is refused by name and stays unchanged", async () => {
  await using folder = await temporaryFolder();
  const dataDir = `${folder.path}/db`;
  await (await startPostgres({ major: 15, dataDir, settings })).stop();
  await rejects(
    startPostgres({ major: 17, dataDir, settings }),
    /belongs to PostgreSQL 15, but PostgreSQL 17 was to be started on it/,
  );
  await using server = await startPostgres({ major: 15, dataDir, settings });
  ok(server.port > 0);
});

Deno.test("two concurrent starts get different ports and both respond", async () => {
  await using folder = await temporaryFolder();
  const [first, second] = await Promise.all(
    ["a", "b"].map((name) =>
      startPostgres({ major: 17, dataDir: `${folder.path}/${name}`, settings })
    ),
  );
  ok(first && second);
  await using _first = first;
  await using _second = second;
  notStrictEqual(first.port, second.port);
  for (const { url } of [first, second]) {
    strictEqual((await connected(url, (sql) => sql`select 1 as one`))[0]?.one, 1);
  }
});

Deno.test("a second server on a folder in use is refused, and the first continues", async () => {
  await using folder = await temporaryFolder();
  const dataDir = `${folder.path}/db`;
  await using server = await startPostgres({ major: 17, dataDir, settings });
  await rejects(startPostgres({ major: 17, dataDir, settings }), /is in use by another running/);
  strictEqual((await connected(server.url, (sql) => sql`select 1 as one`))[0]?.one, 1);
});

Deno.test("a given port that is taken is named", async () => {
  await using folder = await temporaryFolder();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await rejects(
    startPostgres({ major: 17, dataDir: `${folder.path}/db`, port, settings }),
    new RegExp(`Port ${port} is in use`),
  );
});

Deno.test("a failed start shows the end of the server's log", async () => {
  await using folder = await temporaryFolder();
  const options = { major: 17, dataDir: `${folder.path}/db` } as const;
  await rejects(
    startPostgres({ ...options, settings: { no_such_setting: "1" } }),
    /unrecognized configuration parameter "no_such_setting"/,
  );
});

Deno.test("a server that an earlier run left behind is stopped, and its rows stay", async () => {
  await using folder = await temporaryFolder();
  const dataDir = `${folder.path}/db`;
  const earlier = await startPostgres({ major: 17, dataDir, settings });
  await connected(earlier.url, (sql) => sql`create table kept as select 7 as answer`.execute());
  await earlier.stop();
  const { postgres: program } = await postgresBinaries(17, () => {});
  const user = serverUser();
  const leftOver = new Deno.Command(program, {
    args: ["-D", dataDir, "-c", `port=${earlier.port}`, "-c", "listen_addresses=127.0.0.1"]
      .concat("-c", "unix_socket_directories="),
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "null",
    ...(user && { uid: user.uid, gid: user.gid }),
  }).spawn();
  await until("the left-over runs", () => {
    try {
      return Deno.readTextFileSync(`${dataDir}/postmaster.pid`).includes("ready");
    } catch {
      return false;
    }
  });
  const said: string[] = [];
  await using server = await startPostgres({
    major: 17,
    dataDir,
    settings,
    progress: (line) => said.push(line),
  });
  await leftOver.status;
  match(said.join("\n"), new RegExp(`left behind \\(process ${leftOver.pid}\\)`));
  strictEqual((await connected(server.url, (sql) => sql`select answer from kept`))[0]?.answer, 7);
});

for (const signal of ["SIGKILL", "SIGINT"] as const) {
  Deno.test(`a server ends with the process that started it when that gets ${signal}`, async () => {
    await using folder = await temporaryFolder();
    const script = `
      import { startPostgres } from ${JSON.stringify(import.meta.resolve("./postgres.ts"))};
      const server = await startPostgres({ major: 17, dataDir: Deno.args[0] });
      console.log(server.pid);
      setInterval(() => {}, 1000);`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", script, `${folder.path}/db`],
      cwd: PROJECT_FOLDER,
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const pid = Number((await reader.read()).value);
    ok(isRunning(pid));
    child.kill(signal);
    await child.status;
    await reader.cancel();
    await until("the server is gone", () => !isRunning(pid));
    await using server = await startPostgres({ major: 17, dataDir: `${folder.path}/db` });
    ok(isRunning(server.pid));
  });
}
