import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { createRevocationReader, publishRevocation } from "../auth/revocation_stream.ts";
import { createLoginThrottle } from "../auth/throttle.ts";
import { createTraceCache, createTraceInvalidation } from "../cache/trace_cache.ts";
import { connectValkey } from "../cache/valkey.ts";
import { freePort } from "../dev/free_port.ts";
import { createJobQueue } from "../jobs/queue.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { insertJob } from "../testing/insert_job.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { NOTHING, TRACE } from "../testing/trace_cache.ts";

/** How long the relay's mark is valid, in ms: as long as the test. */
const FRESH_MS = 60_000;

/** A command as MONITOR shows it: what a client sent, or what a script did. */
interface Seen {
  readonly isOfScript: boolean;
  readonly words: readonly string[];
}

function parseSeen(line: string): Seen {
  const [, from = "", rest = ""] = /^[\d.]+ \[\d+ ([^\]]+)\] (.*)$/s.exec(line) ?? [];
  const words = [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/gs)].map(([, word = ""]) => word);
  return { isOfScript: from === "lua", words };
}

/** A server in cluster mode that has all slots, and what it was sent since `watch`. */
async function startCluster() {
  await using stack = new AsyncDisposableStack();
  const { server } = stack.use(
    await ownValkey({ args: ["--cluster-enabled", "yes", "--cluster-port", String(freePort())] }),
  );
  const connected = async () =>
    stack.adopt(await createClient({ url: server.url }).connect(), (client) => client.destroy());
  const client = await connected();
  const watching = await connected();
  const call = (...words: string[]) => client.sendCommand(words);
  await call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await eventually(
    "the cluster has all slots",
    async () => String(await call("CLUSTER", "INFO")).includes("cluster_state:ok"),
  );
  const lines: string[] = [];
  const open = stack.move();
  return {
    url: server.url,
    call,
    watch: () => watching.monitor((line) => lines.push(String(line))),
    async seen(): Promise<Seen[]> {
      await call("ECHO", "all was seen");
      await eventually(
        "MONITOR",
        () => Promise.resolve(lines.at(-1)?.includes("all was seen") ?? false),
      );
      return lines.map(parseSeen).filter(({ words }) => words[0]?.toUpperCase() !== "ECHO");
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

Deno.test("each command and script names keys of one slot, and a script uses no key that it wasn't given", async () => {
  await using cluster = await startCluster();
  await using database = await freshDatabase();
  const problems: unknown[] = [];
  const identity = { current: "1-1", known: Promise.resolve() };
  const valkey = connectValkey(cluster.url, (...line) => problems.push(line), {
    database: identity,
  });
  using _closed = { [Symbol.dispose]: () => valkey.close() };
  await eventually("the cluster is used", () => valkey.isUsable());
  await cluster.watch();

  // Traces: two lots in one read, a stored one, one invalidated by each side, a lost epoch.
  const counted: string[] = [];
  const cache = createTraceCache(
    valkey,
    { cacheRead: (outcome) => counted.push(outcome), cacheStored: (what) => counted.push(what) },
    undefined,
    FRESH_MS,
  );
  const relay = createTraceInvalidation(valkey, FRESH_MS);
  for (let n = 0; n < 2; n++) await relay.apply(NOTHING);
  for (const found of await Promise.all(["A", "B"].map((lot) => cache.find(lot)))) {
    if (found.trace === undefined) await found.set(TRACE);
  }
  deepStrictEqual((await cache.find("A")).trace, TRACE);
  await relay.apply({ ...NOTHING, lotCodes: ["A", "C"] });
  await cache.invalidate("B");
  deepStrictEqual((await cache.find("B")).trace, undefined);
  deepStrictEqual(counted, ["miss", "miss", "stored", "stored", "hit", "miss"]);
  await relay.apply({ ...NOTHING, everything: true });

  // Jobs: two kinds on three lists.
  const jobs = createJobQueue(database.sql, valkey, ["a", "b"]);
  const ids = [];
  for (const [kind, priority] of [["a", 1], ["b", 1], ["a", 0]] as const) {
    ids.push(await insertJob(database.sql, { kind, args: {}, priority }));
  }
  strictEqual(await jobs.sweep(), 3);
  const popped = [];
  for (let n = 0; n < 3; n++) popped.push(await jobs.pop(["a", "b"]));
  deepStrictEqual(popped.sort(), ids.sort());

  // Logins: each end of a try, and a refusal.
  const throttle = createLoginThrottle({ perAccount: 2, perAddress: 9, valkey });
  for (const end of ["cancel", "succeed", "fail", "fail"] as const) {
    const turn = await throttle.consume("a@plant.example", "192.0.2.1");
    ok(turn.allowed);
    await turn[end]();
  }
  strictEqual((await throttle.peek("a@plant.example", "192.0.2.1")).allowed, false);
  strictEqual((await throttle.consume("a@plant.example", "192.0.2.1")).allowed, false);

  // Ended tokens.
  const news = createRevocationReader(valkey);
  await news();
  const revocation = { kind: "token", tokenId: crypto.randomUUID(), expiresAt: 9 } as const;
  await publishRevocation(valkey, revocation);
  deepStrictEqual(await news(), [revocation]);

  ok(await valkey.isUsable());
  deepStrictEqual(problems, []);
  const seen = await cluster.seen();
  const keysOf = async ({ words }: Seen) => {
    // "ERR The command has no key arguments" of PING, TIME and the like.
    const keys = await cluster.call("COMMAND", "GETKEYS", ...words).catch(() => []);
    return Array.isArray(keys) ? keys.map(String) : [];
  };
  let given: string[] = [];
  const slots = new Set<string>();
  const unnamed: string[] = [];
  for (const command of seen) {
    const keys = await keysOf(command);
    if (command.isOfScript) unnamed.push(...keys.filter((key) => !given.includes(key)));
    else given = keys;
    const ofCommand = await Promise.all(keys.map((key) => cluster.call("CLUSTER", "KEYSLOT", key)));
    strictEqual(new Set(ofCommand.map(String)).size <= 1, true, command.words.join(" "));
    for (const slot of ofCommand) slots.add(String(slot));
  }
  deepStrictEqual(unnamed, []);
  // The test has seen scripts at work, and keys of each part: traces, jobs, logins, tokens, the probe
  // and the owner.
  ok(seen.filter(({ isOfScript }) => isOfScript).length > 30, `${seen.length} commands`);
  strictEqual(slots.size, 6);
});
