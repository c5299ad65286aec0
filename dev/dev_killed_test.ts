import { deepStrictEqual, ok } from "node:assert/strict";
import { DevRun, READY, stateFolder } from "../testing/dev_run.ts";
import { eventually } from "../testing/eventually.ts";
import { freePort } from "./free_port.ts";
import { isRunning } from "./tied_process.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };
const DENO = Deno.execPath();
/** How `dev/dev.ts` is started with every part that it has. */
const PROGRAM = [DENO, "run", "-A", "dev/dev.ts", "--cutover"];

/** The command lines of all that a run has started, by their ids; they have inherited its folder. */
function startedBy(run: DevRun): Map<number, string> {
  const found = new Map<number, string>();
  const mark = `LOTLINE_DATA=${run.state}\0`;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === run.pid) continue;
    try {
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      // PostgreSQL writes its titles where its environment was.
      const isOurs = Deno.readTextFileSync(`/proc/${name}/environ`).includes(mark) ||
        command.includes(run.state);
      if (isOurs && isRunning(Number(name))) found.set(Number(name), command.replaceAll("\0", " "));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

async function nothingStays(run: DevRun, when: string): Promise<void> {
  const left = () => [...startedBy(run).values()];
  await eventually(`all has ended after a kill ${when}`, () => left().length === 0, { seconds: 60 })
    .catch(() => deepStrictEqual(left(), [], when));
}

/** What a run says and starts, in turn: each is a moment at which it is killed. */
const MOMENTS: [when: string, isNow: (run: DevRun, commands: string[]) => boolean][] = [
  ...["Starting PostgreSQL", "making a new", "Filling", "Starting the API", READY].map((text) =>
    [`when it says ${text}`, (run: DevRun) => run.output.includes(text)] as [
      string,
      (run: DevRun) => boolean,
    ]
  ),
  ...["initdb", "postgres -D", "-server ", "main.ts", "worker.ts", "cutover/legacy/main.ts"].concat(
    "cutover/main.ts",
  ).map((program) =>
    [
      `when ${program} has just begun`,
      (_: DevRun, commands: string[]) =>
        commands.some((command) => !command.startsWith("/bin/sh") && command.includes(program)),
    ] as [string, (run: DevRun, commands: string[]) => boolean]
  ),
];

for (
  const [how, command] of Object.entries({
    "by itself": PROGRAM,
    // As in a shell's background: what it starts ignores SIGINT until it says otherwise.
    "where SIGINT is ignored": ["sh", "-c", 'trap "" INT; exec "$@"', "sh", ...PROGRAM],
  })
) {
  Deno.test(
    `however early a run that was started ${how} is killed, nothing of it stays`,
    onLinux,
    async () => {
      await using folder = await stateFolder();
      const state = `${folder.path}/state`;
      for (const [when, isNow] of MOMENTS) {
        const isFirst = when.includes("making a new") || when.includes("initdb");
        const own = isFirst ? `${folder.path}/${crypto.randomUUID()}` : state;
        const run = new DevRun(own, freePort(), command);
        await eventually(when, () => {
          if (isNow(run, [...startedBy(run).values()]) || run.output.includes(READY)) return true;
          ok(isRunning(run.pid), `${when}: ${run.output}`);
          return false;
        }, { seconds: 180 });
        await run.end("SIGKILL");
        await nothingStays(run, when);
      }
    },
  );
}

Deno.test("when the task around a run is killed, nothing of it stays", onLinux, async () => {
  await using folder = await stateFolder();
  for (const when of ["Starting PostgreSQL", READY]) {
    const run = new DevRun(`${folder.path}/state`, freePort(), [DENO, "task", "--quiet", "dev"]);
    await run.says(when);
    Deno.kill(run.pid, "SIGKILL");
    await nothingStays(run, when);
  }
});
