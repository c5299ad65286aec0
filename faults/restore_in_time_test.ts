import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { connectValkey } from "../cache/valkey.ts";
import { createWalPositions } from "../cache/wal_position.ts";
import { connect } from "../db/connect.ts";
import { readWalPosition } from "../db/known_database.ts";
import { migrate } from "../db/migrate.ts";
import { startPostgres } from "../dev/postgres.ts";
import { openForServers, serverUser } from "../dev/state_folder.ts";
import { about, examine } from "../testing/doctor.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { runPgProgram } from "../testing/pg_programs.ts";
import { FAST, type Major, ownPostgres } from "../testing/postgres_servers.ts";
import { taskOutput } from "../testing/task_output.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";

// The commands of docs/backups.md for a point in time, on servers of their own.

/** A folder in which PostgreSQL's own user may write. */
async function serverFolder(path: string): Promise<string> {
  await Deno.mkdir(path, { recursive: true });
  await giveTree(path);
  return path;
}

async function giveTree(path: string): Promise<void> {
  const user = serverUser();
  if (user === undefined) return;
  const args = ["-R", `${user.uid}:${user.gid}`, path];
  const { success } = await new Deno.Command("chown", { args }).output();
  strictEqual(success, true);
}

/** A plant with an archive: a base backup, one lot at noon, one after it, and a lost server. */
async function lostPlant(major: Major, folder: string, valkeyUrl: string) {
  const archive = await serverFolder(join(folder, "archive"));
  const dataDir = join(folder, "restored");
  await using old = await ownPostgres(major, {
    settings: { archive_mode: "on", archive_command: `cp %p ${archive}/%f` },
  });
  const { url } = old.server;
  await migrate(url, () => {});
  await using _worker = await startWorker({
    databaseUrl: url,
    environment: { VALKEY_URL: valkeyUrl },
  });
  await runPgProgram(major, "pg_basebackup", [
    `--dbname=${url}`,
    `--pgdata=${dataDir}`,
    "--checkpoint=fast",
    "--wal-method=none",
  ]);
  const sql = connect({ url, max: 1, name: "lotline-test" });
  await sql`insert into lots (lot_code) values ('MORNING')`;
  const [noon] = await sql<{ at: string }[]>`select clock_timestamp()::text as at`;
  await sql`insert into lots (lot_code) values ('AFTERNOON')`;
  const [{ wal } = { wal: "" }] = await sql<{ wal: string }[]>`
    select pg_walfile_name(pg_switch_wal()) as wal`;
  await eventually(
    "the log is archived",
    () => Deno.stat(join(archive, wal)).then(() => true, () => false),
  );
  const position = await readWalPosition(sql);
  ok(position);
  const before = { ...position, bytes: String(BigInt(position.bytes) - 1n) };
  const valkey = connectValkey(valkeyUrl, () => {});
  await eventually(
    "Valkey knows how far the log goes",
    () => createWalPositions(valkey).isEarlier(before),
  );
  valkey.close();
  await sql.end({ timeout: 1 });
  return { dataDir, archive, noon: noon?.at ?? "" };
}

for (const major of [15, 17] as const) {
  Deno.test(`a server that is restored to a point in time is noticed and settled (PostgreSQL ${major})`, async () => {
    await using folder = await temporaryFolder();
    openForServers(folder.path);
    await using valkey = await ownValkey();
    const VALKEY_URL = `redis://127.0.0.1:${valkey.server.port}`;
    const { dataDir, archive, noon } = await lostPlant(major, folder.path, VALKEY_URL);

    await Deno.writeTextFile(join(dataDir, "recovery.signal"), "");
    await giveTree(dataDir);
    await using server = await startPostgres({
      major,
      dataDir,
      settings: {
        ...FAST,
        restore_command: `cp ${archive}/%f %p`,
        recovery_target_time: noon,
        recovery_target_action: "promote",
      },
    });
    const { url } = server;
    const sql = connect({ url, max: 1, name: "lotline-test" });
    await using _end = { [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
    await eventually("it can be written", async () => {
      const [row] = await sql`select pg_is_in_recovery() as recovers`;
      return row?.recovers === false;
    });
    const lots = await sql<{ lot_code: string }[]>`select lot_code from lots order by 1`;
    deepStrictEqual(lots.map(({ lot_code }) => lot_code), ["MORNING"]);

    const environment = { DATABASE_URL: url, VALKEY_URL };
    const state = async () => about("restore", await examine(environment));
    deepStrictEqual((await state()).slice(0, 2), [
      "warning",
      "PostgreSQL is at an earlier time than it was: it was restored",
    ]);
    // A worker that is started before the command says so, and what it notes stays until the command.
    {
      await using worker = await startWorker({ databaseUrl: url, environment: { VALKEY_URL } });
      await worker.log.find((line) => line.includes('"event":"database_restored"'));
    }
    match((await state())[1], /^A restore was noticed at \d{4}-.* UTC, and isn't settled$/);
    const restored = await taskOutput(["restored"], environment);
    strictEqual(restored.code, 0, restored.error);
    strictEqual((await state())[0], "ok");
  });
}
