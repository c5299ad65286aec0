import { match, ok, strictEqual } from "node:assert/strict";
import postgres from "postgres";
import { freePort, isTaken } from "./free_port.ts";
import { PROJECT_FOLDER } from "./state_folder.ts";
import { isRunning } from "./tied_process.ts";

const READY = "Ctrl-C ends it all";

/** A run of `deno task dev`, told apart from all others by its state folder. */
class DevRun implements AsyncDisposable {
  output = "";
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;

  constructor(readonly state: string, readonly port: number) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "dev/dev.ts"],
      cwd: PROJECT_FOLDER,
      env: { LOTLINE_DATA: state, PORT: String(port), NO_COLOR: "1" },
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

  /** Waits for what it prints when all runs. */
  async ready(): Promise<this> {
    let ended = false;
    this.#child.status.then(() => ended = true);
    while (!this.output.includes(READY)) {
      ok(!ended, `it ended before it was ready:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this;
  }

  /** Sends a signal, if any, and gives the exit code. */
  async end(signal?: Deno.Signal): Promise<number> {
    if (signal) this.#child.kill(signal);
    const { code } = await this.#child.status;
    await this.#read;
    return code;
  }

  /** The commands that it printed to be tried. */
  get commands(): string[] {
    return this.output.replaceAll("\\\n", " ").split("\n").map((line) => line.trim())
      .filter((line) => line.startsWith("curl "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (isRunning(this.pid)) await this.end("SIGTERM");
    await this.nothingLeft();
  }

  /**
   * Waits until nothing is left that it started: servers name the folder, the API has the port, the
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
    for (let i = 0; (await left()).length > 0; i++) {
      ok(i < 200, `still running:\n${(await left()).join("\n")}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "lotline-dev-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function shell(command: string): Promise<string> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  return new TextDecoder().decode(stdout);
}

async function countLots(run: DevRun): Promise<number> {
  const [url] = /postgres:\/\/\S+/.exec(run.output) ?? [];
  const sql = postgres(url ?? "", { max: 1 });
  try {
    const [row] = await sql<{ count: number }[]>`select count(*)::int as count from lots`;
    return row?.count ?? 0;
  } finally {
    await sql.end();
  }
}

Deno.test("a fresh start runs what it promises, Ctrl-C ends it all, kill -9 heals", async () => {
  await using folder = await temporaryFolder();
  const state = `${folder.path}/state`;
  const port = freePort();

  await using first = await new DevRun(state, port).ready();
  const [health, trace, create] = first.commands;
  ok(health && trace && create, first.output);
  match(await shell(health), /"status":"ok"/);
  match(await shell(trace), /"lot_code":"MIX-BATCH-88".*"parents":\[\{.*"children":\[\{/);
  match(await shell(create), /"lot_code":"RAW-TRY-\d+".*"weight_kg":"12\.50"/);
  const lots = await countLots(first);
  ok(lots > 3000, `${lots} lots`);
  strictEqual(await first.end("SIGINT"), 0);
  await first.nothingLeft();

  await using second = await new DevRun(state, port).ready();
  strictEqual(await countLots(second), lots);
  strictEqual(
    /postgres:\/\/\S+/.exec(second.output)?.[0],
    /postgres:\/\/\S+/.exec(first.output)?.[0],
  );
  await second.end("SIGKILL");

  // At once, while what the killed run had started may still be there.
  await using third = await new DevRun(state, port).ready();
  strictEqual(await countLots(third), lots);
  strictEqual(await third.end("SIGTERM"), 0);
});

Deno.test("a first start that is killed in the middle does not break the next", async () => {
  await using folder = await temporaryFolder();
  const state = `${folder.path}/state`;
  const port = freePort();
  for (const moment of ["making a new data folder", "Filling", "signing keys"]) {
    await using run = new DevRun(state, port);
    while (!run.output.includes(moment)) {
      ok(isRunning(run.pid), run.output);
      if (run.output.includes(READY)) break;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await run.end("SIGKILL");
  }
  await using run = await new DevRun(state, port).ready();
  ok(await countLots(run) > 3000);
});

Deno.test("a signal while it starts ends it with nothing left", async () => {
  await using folder = await temporaryFolder();
  await using run = new DevRun(`${folder.path}/state`, freePort());
  while (!run.output.includes("making a new data folder")) {
    ok(isRunning(run.pid), run.output);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  strictEqual(await run.end("SIGINT"), 0);
});

Deno.test("a port in use is named, with a way to choose another", async () => {
  await using folder = await temporaryFolder();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const run = new DevRun(`${folder.path}/state`, port);
  strictEqual(await run.end(), 1);
  match(run.output, new RegExp(`^Port ${port} is in use.*PORT=${port + 1} deno task dev$`, "m"));
});

Deno.test("a second run on the same folder is refused, the first goes on until its worker ends", async () => {
  await using folder = await temporaryFolder();
  const state = `${folder.path}/state`;
  await using first = await new DevRun(state, freePort()).ready();
  const second = new DevRun(state, freePort());
  strictEqual(await second.end(), 1);
  match(second.output, new RegExp(`Another .deno task dev. is running .*process ${first.pid}\\)`));
  match(await shell(first.commands[0] ?? ""), /"status":"ok"/);
  Deno.kill(Number(await Deno.readTextFile(`${state}/worker.pid`)), "SIGKILL");
  strictEqual(await first.end(), 1);
  match(first.output, /The worker ended by itself\. The last lines of its log:\n\{.*"working"/);
});

Deno.test("when the API ends by itself, that is said with its last lines, and all ends", async () => {
  await using folder = await temporaryFolder();
  const state = `${folder.path}/state`;
  await using run = await new DevRun(state, freePort()).ready();
  Deno.kill(Number(await Deno.readTextFile(`${state}/api.pid`)), "SIGKILL");
  strictEqual(await run.end(), 1);
  match(run.output, /The API ended by itself\. The last lines of its log:\n\{.*"listening"/);
});
