import { deepStrictEqual, ok } from "node:assert/strict";
import { freePort, isTaken } from "../dev/free_port.ts";
import { PROJECT_FOLDER } from "../dev/state_folder.ts";
import { isRunning } from "../dev/tied_process.ts";
import { eventually, withDeadline } from "./eventually.ts";

/** A first start makes a database and fills it, which is slow on a busy machine. */
const START_S = 180;
/** The longest time that the parts of a run may take to stop. */
const END_S = 60;
/** The command of `deno task dev`. */
export const PROGRAM = [Deno.execPath(), "run", "-A", "dev/dev.ts"];

/** Its last output when all runs. */
export const READY = "Ctrl-C ends it all";

/** A run of `deno task dev`, identified by its state folder. */
export class DevRun implements AsyncDisposable {
  output = "";
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;

  /** @param command the program to start in place of the task's, with its arguments */
  constructor(readonly state: string, readonly port: number, command: readonly string[] = PROGRAM) {
    const [program = "", ...args] = command;
    this.#child = new Deno.Command(program, {
      args,
      cwd: PROJECT_FOLDER,
      env: {
        LOTLINE_DATA: state,
        PORT: String(port),
        NO_COLOR: "1",
        // Of the shell, for another database: it must not reach what the run starts.
        DATABASE_URL_FILE: "/run/secrets/of_another_plant",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const collect = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) this.output += text;
    };
    this.#read = Promise.all([collect(this.#child.stdout), collect(this.#child.stderr)]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Waits for the output that shows that all runs. */
  async ready(): Promise<this> {
    await this.says(READY);
    return this;
  }

  /** Waits until it has printed one of these texts. */
  async says(...texts: string[]): Promise<void> {
    await eventually(`it says ${texts.join(" or ")}`, () => {
      if (texts.some((text) => this.output.includes(text))) return true;
      ok(isRunning(this.pid), `it ended before it said ${texts.join(" or ")}:\n${this.output}`);
      return false;
    }, { seconds: START_S });
  }

  /** Sends a signal, if any, and returns the exit code. */
  async end(signal?: Deno.Signal): Promise<number> {
    if (signal) this.#child.kill(signal);
    const { code } = await withDeadline("it ends", this.#child.status, { seconds: END_S });
    await withDeadline("its output ends", this.#read);
    return code;
  }

  /** The commands that it printed to try. */
  get commands(): string[] {
    return this.output.replaceAll("\\\n", " ").split("\n").map((line) => line.trim())
      .filter((line) => line.startsWith("curl "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (isRunning(this.pid)) await this.end("SIGTERM");
    await this.nothingLeft();
  }

  /**
   * Waits until none of its processes is left: servers name the folder, the API has the port, the
   * worker's number is in a file.
   */
  async nothingLeft(): Promise<void> {
    const left = async () => {
      const worker = await Deno.readTextFile(`${this.state}/worker.pid`).catch(() => "");
      const { stdout } = await new Deno.Command("ps", { args: ["-eo", "pid=,command="] }).output();
      return new TextDecoder().decode(stdout).split("\n").filter((line) =>
        line.includes(this.state)
      )
        .concat(isTaken(this.port) ? [`something on port ${this.port}`] : [])
        .concat(worker !== "" && isRunning(Number(worker)) ? ["the worker"] : []);
    };
    await eventually("nothing is left", async () => (await left()).length === 0).catch(async () => {
      throw new Error(`still running:\n${(await left()).join("\n")}`);
    });
  }
}

/** A folder for the state of runs. */
export async function stateFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "lotline-dev-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** The command lines of all processes of a run, by their ids; they have inherited its folder. */
function startedBy(run: DevRun): Map<number, string> {
  const found = new Map<number, string>();
  const mark = `LOTLINE_DATA=${run.state}\0`;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === run.pid) continue;
    try {
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      // PostgreSQL writes its titles over its environment.
      const isOurs = Deno.readTextFileSync(`/proc/${name}/environ`).includes(mark) ||
        command.includes(run.state);
      if (isOurs && isRunning(Number(name))) found.set(Number(name), command.replaceAll("\0", " "));
    } catch {
      // It has ended in between.
    }
  }
  return found;
}

/** Waits until no process of a run is left. */
export async function nothingStays(run: DevRun, when: string): Promise<void> {
  const left = () => [...startedBy(run).values()];
  await eventually(`all has ended after a kill ${when}`, () => left().length === 0, { seconds: 60 })
    .catch(() => deepStrictEqual(left(), [], when));
}

/** Starts a command as in a shell's background: it ignores SIGINT until it sets a handler. */
export const WITHOUT_SIGINT = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"];

/** The moment to kill a run: after a line of output, or just after a program has started. */
type KillMoment = { readonly says: string } | { readonly starts: string };

/** Kills a run at a moment, and waits until no process of it is left. */
export async function killAt(
  moment: KillMoment,
  state: string,
  command: readonly string[],
): Promise<void> {
  const when = JSON.stringify(moment);
  const run = new DevRun(state, freePort(), command);
  const hasStarted = (program: string) =>
    [...startedBy(run).values()].some((line) =>
      !line.startsWith("/bin/sh") && line.includes(program)
    );
  await eventually(when, () => {
    const isNow = "says" in moment ? run.output.includes(moment.says) : hasStarted(moment.starts);
    if (isNow || run.output.includes(READY)) return true;
    ok(isRunning(run.pid), `${when}: ${run.output}`);
    return false;
  }, { seconds: START_S });
  await run.end("SIGKILL");
  await nothingStays(run, when);
}
