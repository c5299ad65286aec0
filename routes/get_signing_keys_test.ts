import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createKeyFile } from "../auth/keys.ts";
import { freePort } from "../dev/free_port.ts";
import { startApi } from "../testing/api.ts";
import { apiWithoutDatabase } from "../testing/api_without_database.ts";
import { SigningKeySet } from "./get_signing_keys.ts";

const api = await apiWithoutDatabase();

Deno.test("the published keys are Ed25519 for signatures, without a private part", async () => {
  const response = await api.get("/.well-known/jwks.json");
  strictEqual(response.status, 200);
  // Strict: an additional member, such as the private "d", does not pass.
  const { keys: [key, ...more] } = SigningKeySet.parse(response.json);
  strictEqual(more.length, 0);
  match(key?.x ?? "", /^[\w-]{43}$/);
  ok(!response.text.includes('"d"'));
});

Deno.test("the keys have an ETag, and a client that has them gets 304", async () => {
  const { headers } = await api.get("/.well-known/jwks.json");
  const etag = headers.get("etag") ?? "";
  match(etag, /^W\//);
  const again = await api.get("/.well-known/jwks.json", { "if-none-match": etag });
  deepStrictEqual([again.status, again.text], [304, ""]);
});

Deno.test("all keys of a file with several are published, in its order and without their private parts", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  try {
    const [old, next] = [join(folder, "old.json"), join(folder, "next.json")];
    await Promise.all([createKeyFile(old), createKeyFile(next)]);
    const { keys: [oldKey] } = JSON.parse(await Deno.readTextFile(old));
    const { keys: [nextKey] } = JSON.parse(await Deno.readTextFile(next));
    await Deno.writeTextFile(next, JSON.stringify({ keys: [nextKey, oldKey] }));
    await using rotated = await startApi({
      databaseUrl: `postgres://127.0.0.1:${freePort()}/none`,
      environment: { JWT_KEYS_FILE: next },
    });
    const response = await rotated.get("/.well-known/jwks.json");
    const { keys } = SigningKeySet.parse(response.json);
    deepStrictEqual(keys.map(({ kid, x }) => [kid, x]), [
      [nextKey.kid, nextKey.x],
      [oldKey.kid, oldKey.x],
    ]);
    for (const { d } of [nextKey, oldKey]) ok(!response.text.includes(d));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
