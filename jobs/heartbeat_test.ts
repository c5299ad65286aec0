import { ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";
import { keepBeating } from "./heartbeat.ts";

Deno.test("a worker writes its heartbeat with the permissions of its task, again and again", async () => {
  await using database = await freshDatabase();
  await using folder = await temporaryFolder();
  const path = join(folder.path, "heartbeat");
  await using _worker = await startWorker({
    databaseUrl: database.url,
    environment: { HEARTBEAT_FILE: path },
  });
  const age = async () => Date.now() - ((await Deno.stat(path)).mtime?.getTime() ?? 0);
  ok(await age() < 5_000);
  await Deno.utime(path, 0, 0);
  await eventually("it is written once more", async () => await age() < 60_000);
});

Deno.test("a heartbeat that can't be written is said in the log, and tried again", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "none", "heartbeat");
  const events: string[] = [];
  const end = new AbortController();
  const beating = keepBeating(path, {
    signal: end.signal,
    log: (_level, event) => void events.push(event),
  });
  await eventually("it is said", () => events.includes("heartbeat_failed"));
  await Deno.mkdir(join(folder.path, "none"));
  await eventually("it is written", () => Deno.stat(path).then(() => true, () => false));
  end.abort();
  await beating;
  strictEqual(events[0], "heartbeat_failed");
});
