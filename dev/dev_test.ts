import { match, ok, strictEqual } from "node:assert/strict";
import postgres from "postgres";
import { DevRun, PROGRAM, READY, stateFolder } from "../testing/dev_run.ts";
import { freePort, isTaken } from "./free_port.ts";

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

Deno.test("a fresh start runs every part, Ctrl-C ends them, and a start after kill -9 works", async () => {
  await using folder = await stateFolder();
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

  // Immediately, while processes of the killed run may still be there.
  await using third = await new DevRun(state, port).ready();
  strictEqual(await countLots(third), lots);
  strictEqual(await third.end("SIGTERM"), 0);
});

Deno.test("a first start that is killed in the middle does not break the next", async () => {
  await using folder = await stateFolder();
  const state = `${folder.path}/state`;
  const port = freePort();
  for (const moment of ["making a new data folder", "Filling", "signing keys"]) {
    await using run = new DevRun(state, port);
    await run.says(moment, READY);
    await run.end("SIGKILL");
  }
  await using run = await new DevRun(state, port).ready();
  ok(await countLots(run) > 3000);
});

Deno.test("a signal during the start ends it and leaves nothing", async () => {
  await using folder = await stateFolder();
  await using run = new DevRun(`${folder.path}/state`, freePort());
  await run.says("making a new data folder");
  strictEqual(await run.end("SIGINT"), 0);
});

Deno.test("a port in use is named, with instructions to choose another", async () => {
  await using folder = await stateFolder();
  const port = freePort();
  using _listener = Deno.listen({ hostname: "127.0.0.1", port });
  // The next port is in use as well.
  using _next = isTaken(port + 1)
    ? undefined
    : Deno.listen({ hostname: "127.0.0.1", port: port + 1 });
  const run = new DevRun(`${folder.path}/state`, port);
  strictEqual(await run.end(), 1);
  match(run.output, new RegExp(`^Port ${port} is in use.*PORT=\\d+ deno task dev$`, "m"));
  const [, other] = /PORT=(\d+) deno/.exec(run.output) ?? [];
  ok(!isTaken(Number(other)), `what it says is taken, too:\n${run.output}`);
});

Deno.test("a second run on the same folder is refused, the first continues until its worker ends", async () => {
  await using folder = await stateFolder();
  const state = `${folder.path}/state`;
  await using first = await new DevRun(state, freePort()).ready();
  const second = new DevRun(state, freePort());
  strictEqual(await second.end(), 1);
  match(second.output, new RegExp(`Another .deno task dev. is running .*process ${first.pid}\\)`));
  // The commands that it printed work while the first one has its folder and its port.
  const [, words = "", data = ""] = /port: ((LOTLINE_DATA=\S+) PORT=\d+) deno task dev/.exec(
    second.output,
  ) ?? [];
  const other = data.replace("LOTLINE_DATA=", "");
  await using third = new DevRun(other, 0, ["env", ...words.split(" "), ...PROGRAM]);
  await third.ready();
  strictEqual(await third.end("SIGTERM"), 0);
  await Deno.remove(other, { recursive: true });
  match(await shell(first.commands[0] ?? ""), /"status":"ok"/);
  Deno.kill(Number(await Deno.readTextFile(`${state}/worker.pid`)), "SIGKILL");
  strictEqual(await first.end(), 1);
  match(first.output, /The worker ended by itself\. The last lines of its log:\n\{.*"working"/);
});

Deno.test("when the API ends unexpectedly, its last lines are shown, and all parts end", async () => {
  await using folder = await stateFolder();
  const state = `${folder.path}/state`;
  await using run = await new DevRun(state, freePort()).ready();
  Deno.kill(Number(await Deno.readTextFile(`${state}/api.pid`)), "SIGKILL");
  strictEqual(await run.end(), 1);
  match(run.output, /The API ended by itself\. The last lines of its log:\n\{.*"listening"/);
});
