import { ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { migrate } from "../db/migrate.ts";
import { connect } from "../db/connect.ts";
import { plantMetrics } from "../db/plant_metrics.ts";
import { readPage } from "../contract-tests/pages.ts";
import { serverUser } from "../dev/state_folder.ts";
import { eventually } from "../testing/eventually.ts";
import { linkPgPrograms } from "../testing/pg_programs.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { valuesOf } from "../testing/series.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

/** The commands of docs/backups.md that note a backup made with this program. */
async function commandsOf(program: string): Promise<string> {
  const page = await readPage("docs/backups.md");
  const blocks = [...page.matchAll(/```sh\n([^]*?)```/g)].map(([, block = ""]) => block);
  const [found, ...more] = blocks.filter((block) => block.includes(`${program} --`))
    .filter((block) => block.includes("note_backup"));
  ok(found !== undefined && more.length === 0, `one block of ${program}`);
  return found;
}

for (const major of [15, 17] as const) {
  Deno.test(`the commands of docs/backups.md note a dump, a base backup and the archive, and no failure (PostgreSQL ${major})`, async () => {
    await using folder = await temporaryFolder();
    const [bin, archive, backups] = ["bin", "archive", "backups"]
      .map((name) => join(folder.path, name)) as [string, string, string];
    for (const path of [bin, archive, backups]) await Deno.mkdir(path);
    await linkPgPrograms(major, bin);
    const user = serverUser();
    await Deno.chmod(folder.path, 0o755);
    if (user !== undefined) await Deno.chown(archive, user.uid, user.gid);
    await using postgres = await ownPostgres(major, {
      settings: { archive_mode: "on", archive_command: `cp %p ${archive}/%f` },
    });
    const { url } = postgres.server;
    await migrate(url, () => {});
    const sql = connect({ url, max: 1, name: "lotline-test" });
    await using _ended = { [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
    const shown = async (name: string) => {
      const [records] = plantMetrics({ databaseUrl: url, schedule: [] });
      return valuesOf(await records?.text() ?? "")[`lotline_${name}`];
    };
    const run = async (program: string) => {
      const script = (await commandsOf(program)).replaceAll("/backups/", `${backups}/`);
      const { code, stderr } = await new Deno.Command("sh", {
        args: ["-c", script],
        cwd: folder.path,
        env: {
          PATH: `${bin}:${Deno.env.get("PATH")}`,
          DATABASE_URL: url,
          REPLICATION_URL: url,
        },
        stdout: "null",
        stderr: "piped",
      }).output();
      return { code, error: new TextDecoder().decode(stderr) };
    };

    strictEqual(await shown("backup_last_timestamp_seconds"), undefined);
    // A backup that can't be written isn't noted.
    const dump = join(folder.path, "plant.dump");
    await Deno.mkdir(dump);
    ok((await run("pg_dump")).code !== 0);
    await Deno.remove(dump);
    strictEqual(await shown("backup_last_timestamp_seconds"), undefined);

    const dumped = await run("pg_dump");
    strictEqual(dumped.code, 0, dumped.error);
    const first = await shown("backup_last_timestamp_seconds") ?? NaN;
    ok(Math.abs(Date.now() / 1_000 - first) < 600, `${first}`);

    const based = await run("pg_basebackup");
    strictEqual(based.code, 0, based.error);
    const second = await shown("backup_last_timestamp_seconds") ?? NaN;
    ok(second > first, `${second} after ${first}`);
    // The folder is there now, so the next one of this name fails.
    ok((await run("pg_basebackup")).code !== 0);
    strictEqual(await shown("backup_last_timestamp_seconds"), second);

    await eventually("the archive is shown", async () => {
      const seconds = await shown("wal_archive_last_timestamp_seconds");
      return seconds !== undefined && Math.abs(Date.now() / 1_000 - seconds) < 600;
    });
    const failures = await shown("wal_archive_failures_total") ?? NaN;
    await Deno.rename(archive, `${archive}.away`);
    await sql`select pg_switch_wal()`;
    await eventually(
      "a failure of the archive is counted",
      async () => (await shown("wal_archive_failures_total") ?? NaN) > failures,
    );
  });
}
