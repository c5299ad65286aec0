import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { freePort } from "../dev/free_port.ts";
import type { Log } from "../log.ts";
import { openLink } from "../testing/black_hole.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { delay } from "../timing.ts";
import { connectValkey, type Valkey } from "./valkey.ts";

/** A log whose lines are stored. */
function recordedLog() {
  const lines: { level: string; event: string; error: unknown; leftOut: unknown }[] = [];
  const log: Log = (level, event, fields) => {
    lines.push({ level, event, error: fields?.error, leftOut: fields?.left_out });
  };
  const until = (event: string) =>
    eventually(event, () => Promise.resolve(lines.at(-1)?.event === event));
  return { lines, log, until };
}

const untilUsable = (valkey: Valkey) => eventually("Valkey responds", () => valkey.isUsable());

Deno.test("a reachable Valkey responds, and nothing is logged", async () => {
  await using valkey = await ownValkey();
  for (const url of [valkey.server.url, valkey.server.url.replace("redis:", "valkey:")]) {
    const { log, lines } = recordedLog();
    const link = connectValkey(url, log);
    await untilUsable(link);
    link.close();
    deepStrictEqual(lines, []);
    strictEqual(await link.isUsable(), false);
  }
});

Deno.test("a Valkey that was never reachable is reported once, and used when it starts", async () => {
  await using valkey = await ownValkey();
  await valkey.server.stop();
  const { log, lines, until } = recordedLog();
  const link = connectValkey(valkey.server.url, log);
  strictEqual(await link.isUsable(), false);
  await until("valkey_down");
  // A few more failed tries, which are not worth a line each.
  await delay(300);
  await valkey.server.start();
  await until("valkey_up");
  await untilUsable(link);
  link.close();
  deepStrictEqual(lines.map(({ level, event }) => [level, event]), [
    ["warn", "valkey_down"],
    ["info", "valkey_up"],
  ]);
  match(String(lines[0]?.error), /ECONNREFUSED/);
});

Deno.test("a Valkey that is killed and restarted is reported as down, then as back, once a minute", async () => {
  await using valkey = await ownValkey();
  const { log, lines } = recordedLog();
  let now = 0;
  const link = connectValkey(valkey.server.url, log, { now: () => now });
  await untilUsable(link);
  const stumble = async () => {
    await valkey.server.kill();
    await eventually("it is away", async () => !await link.isUsable());
    await valkey.server.start();
    await untilUsable(link);
  };
  await stumble();
  strictEqual(lines.length, 2);
  for (let n = 0; n < 3; n++) await stumble();
  strictEqual(lines.length, 2);
  now += 60_000;
  await stumble();
  link.close();
  deepStrictEqual(lines.map(({ event }) => event), [
    "valkey_down",
    "valkey_up",
    "valkey_down",
    "valkey_up",
  ]);
  ok(Number(lines[2]?.leftOut) >= 3, `${lines[2]?.leftOut} left out`);
});

Deno.test("a silent Valkey is down while it is silent, without a log line", async () => {
  await using valkey = await ownValkey();
  const { log } = recordedLog();
  const link = connectValkey(valkey.server.url, log);
  await untilUsable(link);
  valkey.server.pause();
  const said: boolean[] = [];
  for (let i = 0; i < 2; i++) link.isUsable().then((response) => said.push(response));
  await eventually("a response without Valkey's", () => Promise.resolve(said.length === 2));
  deepStrictEqual(said, [false, false]);
  valkey.server.resume();
  await untilUsable(link);
  link.close();
});

Deno.test("a password in the address is in no log line", async () => {
  const { log, lines, until } = recordedLog();
  const link = connectValkey(`redis://lotline:hunter2@127.0.0.1:${freePort()}`, log);
  await until("valkey_down");
  link.close();
  strictEqual(JSON.stringify(lines).includes("hunter2"), false);
});

Deno.test("work returns its result; failed work returns nothing and is logged once", async () => {
  await using valkey = await ownValkey();
  const { log, lines } = recordedLog();
  const link = connectValkey(valkey.server.url, log);
  await untilUsable(link);
  strictEqual(await link.tryCommand((client) => client.set("a", "1")), "OK");
  strictEqual(await link.tryCommand((client) => client.get("a")), "1");
  for (let i = 0; i < 2; i++) {
    strictEqual(await link.tryCommand((client) => client.lPush("a", "x")), undefined);
  }
  deepStrictEqual(lines.map(({ level, event }) => [level, event]), [
    ["warn", "valkey_command_refused"],
  ]);
  link.close();
});

Deno.test("after one timeout no other call waits for a silent Valkey, until it responds again", async () => {
  await using valkey = await ownValkey();
  const { log } = recordedLog();
  const link = connectValkey(valkey.server.url, log);
  await untilUsable(link);
  valkey.server.pause();
  const get = () => link.tryCommand((client) => client.get("a"));
  strictEqual(await withDeadline("the first is given up", get()), undefined);
  // If each waited half a second, a thousand would take minutes.
  const thousand = async () => {
    for (let i = 0; i < 1_000; i++) strictEqual(await get(), undefined);
  };
  await withDeadline("a thousand more give up immediately", thousand());
  valkey.server.resume();
  await untilUsable(link);
  strictEqual(await get(), null);
  link.close();
});

Deno.test("a connection that leads nowhere is replaced by a new one", async () => {
  await using valkey = await ownValkey();
  await using road = await openLink(valkey.server.port);
  const { log, until } = recordedLog();
  const link = connectValkey(`redis://127.0.0.1:${road.port}`, log);
  await untilUsable(link);
  road.swallow();
  strictEqual(await link.isUsable(), false);
  // The first new connection enters the black hole as well, and its HELLO gets no reply.
  await until("valkey_down");
  await delay(500);
  road.heal();
  await untilUsable(link);
  strictEqual(await link.tryCommand((client) => client.set("a", "1")), "OK");
  link.close();
});

Deno.test("a link that is idle for long stays up", async () => {
  await using valkey = await ownValkey();
  const { log, lines } = recordedLog();
  const link = connectValkey(valkey.server.url, log);
  await untilUsable(link);
  // Longer than the timeout of a silent connection.
  await delay(4_000);
  strictEqual(await link.isUsable(), true);
  deepStrictEqual(lines, []);
  link.close();
});

/** A separate client of the test. */
async function clientOf(url: string) {
  const client = createClient({ url });
  client.on("error", () => {});
  await client.connect();
  return {
    notify: (...command: string[]) => client.sendCommand(command),
    [Symbol.dispose]: () => client.destroy(),
  };
}

type Notify = (...command: string[]) => Promise<unknown>;

const REFUSALS: readonly [
  problem: string,
  begin: (notify: Notify, held: Notify) => unknown,
  end: string[],
][] = [
  [
    "readonly",
    (notify) => notify("REPLICAOF", "127.0.0.1", String(freePort())),
    ["REPLICAOF", "NO", "ONE"],
  ],
  [
    "noreplicas",
    (notify) => notify("CONFIG", "SET", "min-replicas-to-write", "1"),
    ["CONFIG", "SET", "min-replicas-to-write", "0"],
  ],
  ["oom", (notify) => notify("CONFIG", "SET", "maxmemory", "1"), [
    "CONFIG",
    "SET",
    "maxmemory",
    "0",
  ]],
  ["misconf", async (notify) => {
    const [dir] = JSON.stringify(await notify("CONFIG", "GET", "dir")).match(/\/[^"]+/) ?? [];
    await Deno.remove(dir ?? "", { recursive: true });
    await notify("CONFIG", "SET", "save", "3600 1");
    await notify("BGSAVE").catch(() => {});
    await eventually("it can't save", async () => {
      return String(await notify("INFO", "persistence")).includes("rdb_last_bgsave_status:err");
    });
  }, ["CONFIG", "SET", "save", ""]],
  ["noauth", async (notify) => {
    await notify("CONFIG", "SET", "requirepass", "another");
    await notify("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  }, ["CONFIG", "SET", "requirepass", ""]],
  ["busy", async (notify, held) => {
    await notify("CONFIG", "SET", "lua-time-limit", "1");
    held("EVAL", "while true do end", "0").catch(() => {});
  }, ["SCRIPT", "KILL"]],
];

for (const [problem, begin, end] of REFUSALS) {
  Deno.test(`a Valkey that refuses commands (${problem}) is down, logs the reason, and is used when it recovers`, async () => {
    await using valkey = await ownValkey();
    using client = await clientOf(valkey.server.url);
    using held = await clientOf(valkey.server.url);
    const { log, lines } = recordedLog();
    const link = connectValkey(valkey.server.url, log);
    await untilUsable(link);
    const { connection } = link;
    await begin(client.notify, held.notify);
    await eventually("it says why", async () => await link.problem() === problem);
    let isAsked = false;
    strictEqual(await link.tryCommand(() => Promise.resolve(isAsked = true)), undefined);
    strictEqual(isAsked, false);
    await client.notify(...end);
    await untilUsable(link);
    strictEqual(await link.tryCommand((client) => client.set("a", "1")), "OK");
    ok(link.connection > connection);
    link.close();
    strictEqual(
      lines.filter(({ error }) => String(error).includes(problem.toUpperCase())).length,
      1,
    );
    strictEqual(lines.at(-1)?.event, "valkey_up");
  });
}

Deno.test("a Valkey that became a replica is left for the one at its address", async () => {
  await using old = await ownValkey();
  await using next = await ownValkey();
  await using road = await openLink(old.server.port);
  using oldOne = await clientOf(old.server.url);
  using nextOne = await clientOf(next.server.url);
  const { log } = recordedLog();
  const link = connectValkey(`redis://127.0.0.1:${road.port}`, log);
  await untilUsable(link);
  road.lead(next.server.port);
  await oldOne.notify("REPLICAOF", "127.0.0.1", String(next.server.port));
  // Even without a write it is noticed.
  await eventually("the new one is used", async () => {
    return Number(await nextOne.notify("EXISTS", "lotline:probe")) === 1;
  });
  await untilUsable(link);
  strictEqual(await link.tryCommand((client) => client.set("a", "1")), "OK");
  strictEqual(await nextOne.notify("GET", "a"), "1");
  link.close();
});
