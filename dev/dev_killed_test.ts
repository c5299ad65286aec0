import { freePort } from "./free_port.ts";
import {
  DevRun,
  killAt,
  nothingStays,
  PROGRAM,
  READY,
  stateFolder,
  WITHOUT_SIGINT,
} from "../testing/dev_run.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };

/** The messages and programs of a start, in turn: a run is killed at each of these moments. */
const SAID = ["Starting PostgreSQL", "making a new", "Filling", "Starting the API", READY];
const STARTED = ["initdb", "postgres -D", "-server ", "main.ts", "worker.ts"];

for (
  const [how, before] of Object.entries({
    "by itself": [],
    "where SIGINT is ignored": WITHOUT_SIGINT,
  })
) {
  Deno.test(
    `a run that was started ${how} and is killed at any moment leaves no process`,
    onLinux,
    async () => {
      await using folder = await stateFolder();
      const moments = [...SAID.map((says) => ({ says })), ...STARTED.map((starts) => ({ starts }))];
      for (const moment of moments) {
        const isFirst = /making a new|initdb/.test(Object.values(moment).join());
        const own = isFirst ? crypto.randomUUID() : "state";
        await killAt(moment, `${folder.path}/${own}`, [...before, ...PROGRAM]);
      }
    },
  );
}

Deno.test("when the task around a run is killed, it leaves no process", onLinux, async () => {
  await using folder = await stateFolder();
  for (const when of ["Starting PostgreSQL", READY]) {
    const task = [Deno.execPath(), "task", "--quiet", "dev"];
    const run = new DevRun(`${folder.path}/state`, freePort(), task);
    await run.says(when);
    Deno.kill(run.pid, "SIGKILL");
    await nothingStays(run, when);
  }
});
