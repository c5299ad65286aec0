import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { freePort } from "../dev/free_port.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { readSettingsAndMistakes } from "./settings.ts";
import { infoFindings, readInfo, valkey } from "./valkey.ts";

const check = async (environment: Readonly<Record<string, string | undefined>>) =>
  await valkey.run(readSettingsAndMistakes(environment).settings);

Deno.test("INFO is read line by line", () => {
  deepStrictEqual(readInfo("# Server\r\nvalkey_version:8.1.0\r\nos:a:b\r\n"), {
    valkey_version: "8.1.0",
    os: "a:b",
  });
});

for (
  const [what, info, level] of [
    ["Valkey 8", { valkey_version: "8.1.0", redis_version: "7.2.4" }, "ok"],
    ["Redis 7", { redis_version: "7.0.1" }, "ok"],
    ["Redis 6", { redis_version: "6.2.0" }, "warning"],
    [
      "volatile-lru",
      { valkey_version: "8.1.0", maxmemory_policy: "volatile-lru", maxmemory: "9" },
      "ok",
    ],
    [
      "noeviction without a limit",
      { valkey_version: "8.1.0", maxmemory_policy: "noeviction" },
      "ok",
    ],
    ["noeviction with a limit", { maxmemory_policy: "noeviction", maxmemory: "9" }, "warning"],
    ["allkeys-lru", { maxmemory_policy: "allkeys-lru" }, "warning"],
  ] as const
) {
  Deno.test(`${what} is ${level}`, () => {
    strictEqual(infoFindings(info)[0]?.level ?? "", level);
  });
}

Deno.test("without VALKEY_URL, or with an invalid one, there is a note", async () => {
  const messages = await Promise.all([{}, { VALKEY_URL: "redis-cluster://h" }].map(check));
  deepStrictEqual(messages.map(([finding]) => [finding?.level, finding?.message]), [
    ["note", "No Valkey is configured: there is no cache"],
    ["note", "Not checked: VALKEY_URL can't be used"],
  ]);
});

Deno.test("a Valkey that isn't there is a failure", async () => {
  const [finding] = await check({ VALKEY_URL: `redis://:canary-word@127.0.0.1:${freePort()}` });
  deepStrictEqual([finding?.level, finding?.message], [
    "failure",
    "Valkey can't be used: unreachable",
  ]);
  ok(finding?.todo?.includes("VALKEY_URL"));
});

Deno.test("a Valkey that works, has another policy, is a replica or has a password", async () => {
  await using own = await ownValkey();
  const { url } = own.server;
  const found = async (address = url) =>
    (await check({ VALKEY_URL: address })).map(({ level, message }) => `${level}: ${message}`);
  ok((await found()).every((line) => line.startsWith("ok: ")), String(await found()));

  const client = await createClient({ url }).connect();
  try {
    await client.configSet("maxmemory-policy", "allkeys-lru");
    deepStrictEqual(
      (await found()).at(-1),
      "warning: Valkey's allkeys-lru drops queues and counts when memory runs out",
    );
    await client.configSet("maxmemory-policy", "volatile-lru");
    await client.sendCommand(["REPLICAOF", "127.0.0.1", String(freePort())]);
    deepStrictEqual(await found(), ["failure: Valkey can't be used: readonly"]);
    await client.sendCommand(["REPLICAOF", "NO", "ONE"]);
    await client.configSet("requirepass", "canary-right");
    deepStrictEqual(await found(), ["failure: Valkey can't be used: noauth"]);
    const wrong = url.replace("redis://", "redis://:canary-wrong@");
    deepStrictEqual(await found(wrong), ["failure: Valkey can't be used: wrongpass"]);
  } finally {
    client.destroy();
  }
});

Deno.test("a VALKEY_CA_FILE that can't be read is a failure", async () => {
  const findings = await check({ VALKEY_URL: "rediss://127.0.0.1", VALKEY_CA_FILE: "/nowhere" });
  deepStrictEqual(findings.map(({ level }) => level), ["failure"]);
  ok(findings[0]?.message.startsWith("VALKEY_CA_FILE names a file that can't be read"));
});
