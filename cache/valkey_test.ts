import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { freePort } from "../dev/free_port.ts";
import type { Log } from "../log.ts";
import { openLink } from "../testing/black_hole.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { connectValkey, type Valkey } from "./valkey.ts";

/** A log that is kept. */
function keptLog() {
  const lines: { level: string; msg: string; error: unknown }[] = [];
  const log: Log = (level, msg, fields) => {
    lines.push({ level, msg, error: fields?.error });
  };
  const until = (msg: string) => eventually(msg, () => Promise.resolve(lines.at(-1)?.msg === msg));
  return { lines, log, until };
}

const untilAnswers = (valkey: Valkey) => eventually("Valkey answers", () => valkey.answers());

Deno.test("a Valkey that is there answers, and nothing is said in the log", async () => {
  await using valkey = await ownValkey();
  for (const url of [valkey.server.url, valkey.server.url.replace("redis:", "valkey:")]) {
    const { log, lines } = keptLog();
    const link = connectValkey(url, log);
    await untilAnswers(link);
    link.close();
    deepStrictEqual(lines, []);
    strictEqual(await link.answers(), false);
  }
});

Deno.test("a Valkey that was never there is away, said once, and used when it comes", async () => {
  await using valkey = await ownValkey();
  await valkey.server.stop();
  const { log, lines, until } = keptLog();
  const link = connectValkey(valkey.server.url, log);
  strictEqual(await link.answers(), false);
  await until("valkey is away");
  // A few more failed tries, which are not worth a line each.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await valkey.server.start();
  await until("valkey is back");
  await untilAnswers(link);
  link.close();
  deepStrictEqual(lines.map(({ level, msg }) => [level, msg]), [
    ["warn", "valkey is away"],
    ["info", "valkey is back"],
  ]);
  match(String(lines[0]?.error), /ECONNREFUSED/);
});

Deno.test("a Valkey that is killed and started again is away, then back", async () => {
  await using valkey = await ownValkey();
  const { log, lines, until } = keptLog();
  const link = connectValkey(valkey.server.url, log);
  await untilAnswers(link);
  for (let round = 1; round <= 2; round++) {
    await valkey.server.kill();
    await until("valkey is away");
    strictEqual(await link.answers(), false);
    await valkey.server.start();
    await untilAnswers(link);
    strictEqual(lines.length, 2 * round);
  }
  link.close();
});

Deno.test("a Valkey that falls silent is away while it is, without a line in the log", async () => {
  await using valkey = await ownValkey();
  const { log } = keptLog();
  const link = connectValkey(valkey.server.url, log);
  await untilAnswers(link);
  valkey.server.pause();
  const said: boolean[] = [];
  for (let i = 0; i < 2; i++) link.answers().then((answer) => said.push(answer));
  await eventually("an answer without Valkey's", () => Promise.resolve(said.length === 2));
  deepStrictEqual(said, [false, false]);
  valkey.server.resume();
  await untilAnswers(link);
  link.close();
});

Deno.test("a password in the address is in no line", async () => {
  const { log, lines, until } = keptLog();
  const link = connectValkey(`redis://lotline:hunter2@127.0.0.1:${freePort()}`, log);
  await until("valkey is away");
  link.close();
  strictEqual(JSON.stringify(lines).includes("hunter2"), false);
});

Deno.test("work is done and its result given; what fails gives nothing and is said once", async () => {
  await using valkey = await ownValkey();
  const { log, lines } = keptLog();
  const link = connectValkey(valkey.server.url, log);
  await untilAnswers(link);
  strictEqual(await link.attempt((client) => client.set("a", "1")), "OK");
  strictEqual(await link.attempt((client) => client.get("a")), "1");
  for (let i = 0; i < 2; i++) {
    strictEqual(await link.attempt((client) => client.lPush("a", "x")), undefined);
  }
  deepStrictEqual(lines.map(({ level, msg }) => [level, msg]), [
    ["warn", "valkey refused a command"],
  ]);
  link.close();
});

Deno.test("once Valkey is silent nobody else waits for it, until it speaks again", async () => {
  await using valkey = await ownValkey();
  const { log } = keptLog();
  const link = connectValkey(valkey.server.url, log);
  await untilAnswers(link);
  valkey.server.pause();
  const get = () => link.attempt((client) => client.get("a"));
  const slow = performance.now();
  strictEqual(await get(), undefined);
  ok(performance.now() - slow < 700, "half a second, and some slack");
  const quick = performance.now();
  for (let i = 0; i < 1_000; i++) strictEqual(await get(), undefined);
  ok(performance.now() - quick < 400, "a thousand at once");
  valkey.server.resume();
  await untilAnswers(link);
  strictEqual(await get(), null);
  link.close();
});

Deno.test("a connection that leads nowhere is given up for a new one", async () => {
  await using valkey = await ownValkey();
  await using road = await openLink(valkey.server.port);
  const { log, until } = keptLog();
  const link = connectValkey(`redis://127.0.0.1:${road.port}`, log);
  await untilAnswers(link);
  road.swallow();
  strictEqual(await link.answers(), false);
  // The first new connection goes into the black hole as well, and says hello to nobody.
  await until("valkey is away");
  await new Promise((resolve) => setTimeout(resolve, 500));
  road.heal();
  await untilAnswers(link);
  strictEqual(await link.attempt((client) => client.set("a", "1")), "OK");
  link.close();
});

Deno.test("a link that is idle for long stays up", async () => {
  await using valkey = await ownValkey();
  const { log, lines } = keptLog();
  const link = connectValkey(valkey.server.url, log);
  await untilAnswers(link);
  // Longer than a silent connection is borne with.
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  strictEqual(await link.answers(), true);
  deepStrictEqual(lines, []);
  link.close();
});
