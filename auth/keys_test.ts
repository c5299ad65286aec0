import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { join } from "node:path";
import { taskOutput } from "../testing/task_output.ts";
import { KeyFileError } from "./key_file.ts";
import { createKeyFile, loadSigningKeys, pruneKeys, rotateKeys } from "./keys.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { keyIdsIn } from "../testing/keys.ts";

async function modeOf(path: string): Promise<string> {
  const { mode } = await Deno.stat(path);
  return ((mode ?? 0) & 0o777).toString(8);
}

const posix = { ignore: Deno.build.os === "windows" };

Deno.test(
  "a new key file holds one Ed25519 key and only its owner can read it",
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

Deno.test("create never overwrites an existing key file", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const before = await Deno.readTextFile(path);
  await rejects(createKeyFile(path), Deno.errors.AlreadyExists);
  strictEqual(await Deno.readTextFile(path), before);
});

Deno.test("the first key of a loaded file signs, and no private part is published", async () => {
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

Deno.test(
  "a key file that others than its owner and group can read is refused, and the message says how to fix it",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "keys.json");
    await createKeyFile(path);
    for (const mode of [0o604, 0o602, 0o601, 0o644, 0o444, 0o777]) {
      await Deno.chmod(path, mode);
      await rejects(
        loadSigningKeys(path),
        new KeyFileError(`${path} can be read by others: chmod o= ${path}`),
      );
    }
    for (const mode of [0o400, 0o440, 0o640, 0o660]) {
      await Deno.chmod(path, mode);
      await loadSigningKeys(path);
    }
  },
);

Deno.test(
  "a rotated file of a group keeps it, and is never the maker's group's to read",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "keys.json");
    await createKeyFile(path);
    await Deno.chmod(path, 0o640);
    // Only root can give a file to a group that it isn't in.
    if (Deno.uid() === 0) await Deno.chown(path, 65_534, 65_533);
    const { uid, gid } = await Deno.stat(path);
    await rotateKeys(path);
    const after = await Deno.stat(path);
    deepStrictEqual([after.uid, after.gid, await modeOf(path)], [uid, gid, "640"]);
  },
);

Deno.test("a missing key file is refused, and the message says how to make one", async () => {
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

Deno.test("a file without valid keys is refused, and the message shows nothing of it", async () => {
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
      match(error.message, content === "" ? / is empty: / : / is not a key file: /);
      ok(!error.message.includes(d));
      return true;
    });
  }
});

Deno.test("rotate adds a key in front, and all earlier keys keep verifying", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const [first] = await keyIdsIn(path);
  strictEqual(await rotateKeys(path), 2);
  const [second, ...others] = await keyIdsIn(path);
  deepStrictEqual(others, [first]);
  strictEqual(await rotateKeys(path), 3);
  const [third, ...rest] = await keyIdsIn(path);
  deepStrictEqual(rest, [second, first]);
  const { kid, published } = await loadSigningKeys(path);
  strictEqual(kid, third);
  deepStrictEqual(published.keys.map(({ kid }) => kid), [third, second, first]);
  for (const key of published.keys) {
    deepStrictEqual(Object.keys(key).sort(), ["alg", "crv", "kid", "kty", "use", "x"]);
  }
});

Deno.test(
  "a rotated file keeps its mode and owner, and no other file is left in its folder",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "keys.json");
    await createKeyFile(path);
    if (Deno.uid() === 0) await Deno.chown(path, 65_534, 65_534);
    await Deno.chmod(path, 0o400);
    const { uid, gid } = await Deno.stat(path);
    // A leftover of a killed change.
    await Deno.writeTextFile(`${path}.new`, "half");
    await rotateKeys(path);
    strictEqual(await modeOf(path), "400");
    const after = await Deno.stat(path);
    deepStrictEqual([after.uid, after.gid], [uid, gid]);
    deepStrictEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["keys.json"]);
  },
);

Deno.test("a key with a delayed start verifies immediately, and signs from its start on", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const start = Date.now();
  const minutes = (n: number) => start + n * 60_000;
  await rotateKeys(path, new Date(minutes(15)));
  const [later, sooner] = await keyIdsIn(path);
  const at = async (now: number) => await loadSigningKeys(path, now);
  deepStrictEqual((await at(start)).published.keys.map(({ kid }) => kid), [later, sooner]);
  deepStrictEqual([(await at(minutes(14.9))).kid, (await at(start)).until], [sooner, minutes(15)]);
  deepStrictEqual([(await at(minutes(15))).kid, (await at(minutes(15))).until], [later, undefined]);
  // It counts as replaced from that time, not from today.
  const prune = (hours: number) =>
    pruneKeys(path, { evenNeeded: false, now: new Date(minutes(15) + hours * 3_600_000) });
  deepStrictEqual(await prune(12.9), { dropped: 0, left: 2 });
  deepStrictEqual(await prune(13), { dropped: 1, left: 1 });
});

Deno.test("concurrent rotations lose no key", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const rotateAgainAndAgain = async () => {
    for (let i = 0; i < 5; i++) await rotateKeys(path);
  };
  await Promise.all(Array.from({ length: 8 }, rotateAgainAndAgain));
  strictEqual(new Set(await keyIdsIn(path)).size, 41);
});

Deno.test("prune drops a key 13 hours after it was replaced, not earlier", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const [oldest] = await keyIdsIn(path);
  const start = Date.now();
  const hours = (n: number) => new Date(start + n * 3_600_000);
  await rotateKeys(path, hours(0));
  await rotateKeys(path, hours(5));
  const prune = (now: Date) => pruneKeys(path, { evenNeeded: false, now });
  deepStrictEqual(await prune(hours(12.9)), { dropped: 0, left: 3 });
  deepStrictEqual(await prune(hours(13)), { dropped: 1, left: 2 });
  strictEqual((await keyIdsIn(path)).includes(oldest ?? ""), false);
  deepStrictEqual(await prune(hours(18)), { dropped: 1, left: 1 });
  // The key that signs stays, however old it is.
  deepStrictEqual(await prune(hours(10_000)), { dropped: 0, left: 1 });
});

Deno.test("for a key that was added by hand the time starts with the first prune", async () => {
  await using folder = await temporaryFolder();
  const [path, other] = [join(folder.path, "keys.json"), join(folder.path, "other.json")];
  for (const file of [path, other]) await createKeyFile(file);
  const keys = [path, other].flatMap((file) => JSON.parse(Deno.readTextFileSync(file)).keys);
  await Deno.writeTextFile(path, JSON.stringify({ keys }));
  const hours = (n: number) => new Date(Date.now() + n * 3_600_000);
  const prune = (now: Date) => pruneKeys(path, { evenNeeded: false, now });
  deepStrictEqual(await prune(hours(0)), { dropped: 0, left: 2 });
  deepStrictEqual(await prune(hours(12)), { dropped: 0, left: 2 });
  deepStrictEqual(await prune(hours(14)), { dropped: 1, left: 1 });
});

Deno.test("prune --now keeps the signing key", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  for (let i = 0; i < 3; i++) await rotateKeys(path);
  const [signing] = await keyIdsIn(path);
  deepStrictEqual(await pruneKeys(path, { evenNeeded: true }), { dropped: 3, left: 1 });
  deepStrictEqual(await keyIdsIn(path), [signing]);
});

Deno.test("rotate and prune leave an unusable file unchanged", posix, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await rejects(rotateKeys(path), KeyFileError);
  await Deno.writeTextFile(path, "{}", { mode: 0o600 });
  await rejects(rotateKeys(path), KeyFileError);
  await rejects(pruneKeys(path, { evenNeeded: true }), KeyFileError);
  strictEqual(await Deno.readTextFile(path), "{}");
  await Deno.remove(path);
  await createKeyFile(path);
  await Deno.chmod(path, 0o644);
  await rejects(rotateKeys(path), /can be read by others/);
  strictEqual((await keyIdsIn(path)).length, 1);
});

/** Runs `deno task keys` with these arguments. */
async function keysTask(words: string[], keyFile: string) {
  const { code, output, error } = await taskOutput(["keys", ...words], { JWT_KEYS_FILE: keyFile });
  return { code, output: output + error };
}

Deno.test("deno task keys create makes a file and its folder, and never overwrites one", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "secrets", "keys.json");
  deepStrictEqual(await keysTask(["create"], path), {
    code: 0,
    output: `made ${path} with one signing key`,
  });
  const made = await Deno.readTextFile(path);
  await loadSigningKeys(path);
  deepStrictEqual(await keysTask(["create"], path), {
    code: 1,
    output: `${path} exists already and stays as it is`,
  });
  deepStrictEqual(await keysTask(["create", "--if-missing"], path), { code: 0, output: "" });
  strictEqual(await Deno.readTextFile(path), made);
});

Deno.test("deno task keys rotate and prune report what they did", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const change = async (...words: string[]) => await keysTask(words, path);
  deepStrictEqual(await change("rotate"), {
    code: 0,
    output: "a new key signs from now on; 2 keys verify",
  });
  deepStrictEqual(await change("rotate", "--in", "15"), {
    code: 0,
    output: "a new key signs from 15 minutes from now on; 3 keys verify",
  });
  deepStrictEqual(await change("prune"), { code: 0, output: "dropped 0 keys, 3 left" });
  // The key that signs, and the one that will.
  deepStrictEqual(await change("prune", "--now"), { code: 0, output: "dropped 1 keys, 2 left" });
  await Deno.chmod(path, 0o644);
  deepStrictEqual(await change("rotate"), {
    code: 1,
    output: `${path} can be read by others: chmod o= ${path}`,
  });
});

Deno.test("deno task keys create --if-missing makes a missing file", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  strictEqual((await keysTask(["create", "--if-missing"], path)).code, 0);
  await loadSigningKeys(path);
});

Deno.test("deno task keys prints its usage for any other argument, and changes nothing", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  const unknown = [[], ["list"], ["create", "--force"], ["rotate", "--now"], ["prune", "all"]];
  const odd = [["rotate", "--in"], ["rotate", "--in", "soon"], ["prune", "--now", "5"]];
  for (const words of [...unknown, ...odd, ["constructor"], ["rotate", "--in", "5", "6"]]) {
    const { code, output } = await keysTask(words, path);
    strictEqual(code, 2);
    match(output, /^usage: JWT_KEYS_FILE=path deno task keys <command>$/m);
  }
  const { code, output } = await keysTask(["create"], "");
  strictEqual(code, 2);
  match(output, /^Invalid settings:\n {2}JWT_KEYS_FILE is missing: expected .*$/);
  deepStrictEqual([...Deno.readDirSync(folder.path)], []);
});

Deno.test("without its key file the API exits with one line that says so", async () => {
  await using folder = await temporaryFolder();
  const { code, error } = await taskOutput(["start"], {
    DATABASE_URL: "postgres://127.0.0.1/none",
    AUTH_MODE: "legacy",
    JWT_KEYS_FILE: join(folder.path, "keys.json"),
  });
  strictEqual(code, 1);
  match(error, /^JWT_KEYS_FILE .* deno task keys create$/);
});
