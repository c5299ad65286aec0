import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { join } from "node:path";
import { createKeyFile, KeyFileError, loadSigningKeys } from "./keys.ts";

const PROJECT = new URL("..", import.meta.url);

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "lotline-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function modeOf(path: string): Promise<string> {
  const { mode } = await Deno.stat(path);
  return ((mode ?? 0) & 0o777).toString(8);
}

const posix = { ignore: Deno.build.os === "windows" };

Deno.test(
  "a new key file holds one Ed25519 key and can be read by its owner only",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "keys.json");
    await createKeyFile(path);
    strictEqual(await modeOf(path), "600");
    const { keys: [key, ...more], ...rest } = JSON.parse(await Deno.readTextFile(path));
    deepStrictEqual([more, rest], [[], {}]);
    const { kid, x, d, ...kind } = key;
    deepStrictEqual(kind, { kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig" });
    for (const part of [kid, x, d]) match(part, /^[\w-]{36,43}$/);
  },
);

Deno.test("two key files have different keys", async () => {
  await using folder = await temporaryFolder();
  const paths = ["one.json", "two.json"].map((name) => join(folder.path, name));
  await Promise.all(paths.map(createKeyFile));
  const [one, two] = await Promise.all(paths.map(loadSigningKeys));
  notStrictEqual(one?.kid, two?.kid);
  notStrictEqual(one?.published.keys[0]?.x, two?.published.keys[0]?.x);
});

Deno.test("a key file that is there is never written over", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const before = await Deno.readTextFile(path);
  await rejects(createKeyFile(path), Deno.errors.AlreadyExists);
  strictEqual(await Deno.readTextFile(path), before);
});

Deno.test("of a loaded file the first key signs, and no private part is published", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const { keys: [key] } = JSON.parse(await Deno.readTextFile(path));
  const { kid, privateKey, published } = await loadSigningKeys(path);
  const { d: _secret, ...publicPart } = key;
  strictEqual(kid, key.kid);
  strictEqual(privateKey.type, "private");
  deepStrictEqual(published, { keys: [publicPart] });
});

Deno.test("a key file that others can read is refused, with what to do", posix, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777]) {
    await Deno.chmod(path, mode);
    await rejects(
      loadSigningKeys(path),
      new KeyFileError(`${path} can be read by others: chmod 600 ${path}`),
    );
  }
  await Deno.chmod(path, 0o400);
  await loadSigningKeys(path);
});

Deno.test("a key file that isn't there is refused, with how to make one", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await rejects(loadSigningKeys(path), (error) => {
    ok(error instanceof KeyFileError);
    strictEqual(
      error.message,
      `JWT_KEYS_FILE ${path} can't be read, make one with: deno task keys create`,
    );
    return true;
  });
});

Deno.test("a file that holds no such keys is refused, and nothing of it is shown", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const { keys: [key] } = JSON.parse(await Deno.readTextFile(path));
  const { d, ...publicPart } = key;
  const contents = [
    "",
    "{",
    "null",
    "{}",
    '{"keys":[]}',
    JSON.stringify({ keys: [publicPart] }),
    JSON.stringify({ keys: [{ ...key, crv: "X25519" }] }),
    JSON.stringify({ keys: [{ ...key, alg: "HS256" }] }),
    JSON.stringify({ keys: [{ ...key, kid: "" }] }),
    JSON.stringify({ keys: [key, publicPart] }),
    JSON.stringify(key),
  ];
  for (const content of contents) {
    await Deno.writeTextFile(path, content);
    await rejects(loadSigningKeys(path), (error) => {
      ok(error instanceof KeyFileError, content);
      strictEqual(
        error.message,
        `${path} is not a key file, make one with: deno task keys create`,
      );
      ok(!error.message.includes(d));
      return true;
    });
  }
});

/** Runs `deno task keys` with these words. */
async function keysTask(words: string[], keyFile: string) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "keys", ...words],
    cwd: PROJECT,
    env: { JWT_KEYS_FILE: keyFile },
  }).output();
  const text = new TextDecoder();
  return { code, said: (text.decode(stdout) + text.decode(stderr)).trim() };
}

Deno.test("deno task keys create makes a file, its folder too, and never a second time", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "secrets", "keys.json");
  deepStrictEqual(await keysTask(["create"], path), {
    code: 0,
    said: `made ${path} with one signing key`,
  });
  const made = await Deno.readTextFile(path);
  await loadSigningKeys(path);
  deepStrictEqual(await keysTask(["create"], path), {
    code: 1,
    said: `${path} exists already and stays as it is`,
  });
  deepStrictEqual(await keysTask(["create", "--if-missing"], path), { code: 0, said: "" });
  strictEqual(await Deno.readTextFile(path), made);
});

Deno.test("deno task keys create --if-missing makes a file that isn't there", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  strictEqual((await keysTask(["create", "--if-missing"], path)).code, 0);
  await loadSigningKeys(path);
});

Deno.test("deno task keys says how it is used, and does nothing on any other word", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  for (const words of [[], ["rotate"], ["create", "--force"]]) {
    const { code, said } = await keysTask(words, path);
    strictEqual(code, 2);
    match(said, /^usage: JWT_KEYS_FILE=path deno task keys create \[--if-missing\]$/);
  }
  const { code, said } = await keysTask(["create"], "");
  strictEqual(code, 2);
  match(said, /^These settings need a look:\n {2}JWT_KEYS_FILE is missing: give .*$/);
  deepStrictEqual([...Deno.readDirSync(folder.path)], []);
});

Deno.test("the API doesn't start without its key file, and says so in one line", async () => {
  await using folder = await temporaryFolder();
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "start"],
    cwd: PROJECT,
    env: {
      DATABASE_URL: "postgres://127.0.0.1/none",
      AUTH_MODE: "legacy",
      JWT_KEYS_FILE: join(folder.path, "keys.json"),
    },
  }).output();
  strictEqual(code, 1);
  match(new TextDecoder().decode(stderr), /^JWT_KEYS_FILE .* deno task keys create\n$/);
});
