import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { dirname, join } from "node:path";
import { eventually } from "../testing/eventually.ts";
import { KeyFileError } from "./key_file.ts";
import { createKeyFile, loadSigningKeys, pruneKeys, rotateKeys } from "./keys.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { keyIdsIn } from "../testing/keys.ts";

const PROJECT = new URL("..", import.meta.url);
const posix = { ignore: Deno.build.os === "windows" };

/** Runs `deno task keys` with these arguments, without root's power to open files of others. */
async function keysTask(words: string[], keyFile: string) {
  const asRoot = Deno.build.os === "linux" && Deno.uid() === 0;
  const deno = [Deno.execPath(), "task", "--quiet", "keys", ...words];
  const [program = "", ...args] = asRoot
    ? ["setpriv", "--inh-caps=-all", "--bounding-set=-all", ...deno]
    : deno;
  const running = new Deno.Command(program, {
    args,
    cwd: PROJECT,
    env: { JWT_KEYS_FILE: keyFile },
    signal: AbortSignal.timeout(60_000),
  });
  const { code, stdout, stderr } = await running.output();
  const text = new TextDecoder();
  return { code, output: (text.decode(stdout) + text.decode(stderr)).trim() };
}

/** Makes the file unreadable for the user who runs the tests, for root without its powers. */
async function closeTo(path: string): Promise<void> {
  if (Deno.uid() === 0) await Deno.chown(path, 65_534, 65_534);
  else await Deno.chmod(path, 0o000);
}

/** A key file behind a chain of links: through a folder that is a link, and relative. */
async function linkedKeyFile(folder: string) {
  const [real, link] = [join(folder, "secrets", "v1", "keys.json"), join(folder, "etc", "keys")];
  await Deno.mkdir(dirname(real), { recursive: true });
  await Deno.mkdir(dirname(link));
  await createKeyFile(real);
  await Deno.symlink("v1", join(folder, "secrets", "current"));
  await Deno.symlink("../secrets/current", join(folder, "etc", "now"));
  // Starts from the real folder, not from the folder of the link to it.
  await Deno.symlink("now/../v1/keys.json", join(folder, "etc", "second"));
  await Deno.symlink(join(folder, "etc", "second"), link);
  return { real, link };
}

Deno.test(
  "rotate and prune change the file that links lead to, and the links stay",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const { real, link } = await linkedKeyFile(folder.path);
    await Deno.chmod(real, 0o400);
    if (Deno.uid() === 0) await Deno.chown(real, 65_534, 65_534);
    const { uid, gid } = await Deno.stat(real);
    const [first] = await keyIdsIn(real);
    strictEqual(await rotateKeys(link), 2);
    const [second, ...before] = await keyIdsIn(real);
    deepStrictEqual(before, [first]);
    deepStrictEqual(await pruneKeys(link, { evenNeeded: true }), { dropped: 1, left: 1 });
    deepStrictEqual(await keyIdsIn(real), [second]);
    for (const name of ["keys", "second"]) {
      ok((await Deno.lstat(join(folder.path, "etc", name))).isSymlink, name);
    }
    const after = await Deno.lstat(real);
    deepStrictEqual([(after.mode ?? 0) & 0o777, after.uid, after.gid], [0o400, uid, gid]);
    for (
      const [where, names] of [["etc", ["keys", "now", "second"]], ["secrets/v1", ["keys.json"]]]
    ) {
      const found = [...Deno.readDirSync(join(folder.path, String(where)))].map(({ name }) => name);
      deepStrictEqual(found.sort(), names);
    }
  },
);

Deno.test("concurrent rotations through several links lose no key", posix, async () => {
  await using folder = await temporaryFolder();
  const { real, link } = await linkedKeyFile(folder.path);
  const paths = [real, link, join(folder.path, "etc", "second")];
  await Promise.all([...paths, ...paths, ...paths].map((path) => rotateKeys(path)));
  strictEqual(new Set(await keyIdsIn(real)).size, 10);
});

Deno.test("create makes the file that a link leads to, and its folder", posix, async () => {
  await using folder = await temporaryFolder();
  const [link, target] = [join(folder.path, "keys.json"), join(folder.path, "a", "b", "keys")];
  await Deno.symlink("a/b/keys", link);
  await rejects(loadSigningKeys(link), (error) => {
    ok(error instanceof KeyFileError);
    strictEqual(
      error.message,
      `JWT_KEYS_FILE ${link} is a link to ${target}, which isn't there: ` +
        `make it with: JWT_KEYS_FILE=${link} deno task keys create`,
    );
    return true;
  });
  deepStrictEqual(await keysTask(["create"], link), {
    code: 0,
    output: `made ${link} with one signing key`,
  });
  ok((await Deno.lstat(link)).isSymlink);
  strictEqual(((await Deno.lstat(target)).mode ?? 0) & 0o777, 0o600);
  await loadSigningKeys(link);
  strictEqual((await keysTask(["create"], link)).code, 1);
});

/** Files that can't be a key file, the expected message, and the arguments of `deno task keys`. */
interface Trouble {
  readonly name: string;
  /** Prepares the folder and returns the path, unless it is `keys.json` in it. */
  readonly plant: (folder: string) => Promise<string | void>;
  readonly message: (path: string, folder: string) => string;
}

async function listenOn(path: string): Promise<void> {
  Deno.listen({ transport: "unix", path }).close();
  if (await Deno.stat(path).catch(() => undefined)) return;
  const python = `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(path)})`;
  await new Deno.Command("python3", { args: ["-c", python] }).output();
}

const TROUBLES: Trouble[] = [
  {
    name: "a folder",
    plant: (folder) => Deno.mkdir(join(folder, "keys.json")),
    message: (path) => `is a folder: name a file in it, such as ${path}/keys.json`,
  },
  {
    name: "a path that ends as that of a folder",
    plant: (folder) => Promise.resolve(join(folder, "keys/")),
    message: (path) => `is a folder: name a file in it, such as ${path}keys.json`,
  },
  {
    name: "a pipe",
    plant: async (folder) => {
      await new Deno.Command("mkfifo", { args: [join(folder, "keys.json")] }).output();
    },
    message: () => "is a pipe: name a file",
  },
  {
    name: "a link to a pipe",
    plant: async (folder) => {
      await new Deno.Command("mkfifo", { args: [join(folder, "pipe")] }).output();
      await Deno.symlink("pipe", join(folder, "keys.json"));
    },
    message: () => "is a pipe: name a file",
  },
  {
    name: "a socket",
    plant: (folder) => listenOn(join(folder, "keys.json")),
    message: () => "is a socket: name a file",
  },
  {
    name: "a device",
    plant: () => Promise.resolve("/dev/zero"),
    message: () => "is a device: name a file",
  },
  {
    name: "a path through a file",
    plant: async (folder) => {
      await Deno.writeTextFile(join(folder, "file"), "");
      return join(folder, "file", "keys.json");
    },
    message: (_, folder) => `can't be there: ${folder}/file is no folder`,
  },
  {
    name: "links in a circle",
    plant: async (folder) => {
      await Deno.symlink("other.json", join(folder, "keys.json"));
      await Deno.symlink("keys.json", join(folder, "other.json"));
    },
    message: () => "is a link that leads back to itself",
  },
  {
    name: "a name that is too long",
    plant: (folder) => Promise.resolve(join(folder, "k".repeat(300))),
    message: () => "can't be used: its name is too long",
  },
  {
    name: "a folder that this user may not enter",
    plant: async (folder) => {
      await Deno.mkdir(join(folder, "closed", "within"), { recursive: true });
      await createKeyFile(join(folder, "closed", "within", "keys.json"));
      await Deno.chmod(join(folder, "closed"), 0o700);
      await closeTo(join(folder, "closed"));
      return join(folder, "closed", "within", "keys.json");
    },
    message: (_, folder) =>
      `can't be reached: the user who runs this may not enter ${folder}/closed`,
  },
];

for (const { name, plant, message } of TROUBLES) {
  Deno.test(
    `every command refuses ${name} as a key file, and names the reason`,
    posix,
    async () => {
      await using folder = await temporaryFolder();
      const path = await plant(folder.path) ?? join(folder.path, "keys.json");
      const sentence = `JWT_KEYS_FILE ${path} ${message(path, folder.path)}`;
      for (const words of [["rotate"], ["prune"], ["create"], ["create", "--if-missing"]]) {
        deepStrictEqual(
          await keysTask(words, path),
          { code: 1, output: sentence },
          words.join(" "),
        );
      }
      await Deno.chmod(folder.path, 0o700);
      for (const { name } of Deno.readDirSync(folder.path)) {
        if (name === "closed") await Deno.chmod(join(folder.path, name), 0o700);
      }
    },
  );
}

Deno.test(
  "a key file of another user and a missing one have different messages",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "keys.json");
    await createKeyFile(path);
    await closeTo(path);
    const owner = Deno.uid() === 0 ? 65_534 : Deno.uid();
    const { code, output } = await keysTask(["rotate"], path);
    strictEqual(code, 1);
    strictEqual(
      output,
      `JWT_KEYS_FILE ${path} can't be read by the user who runs this: it belongs to user ${owner}`,
    );
  },
);

Deno.test("a folder that can't be written is named, and the keys stay", posix, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "closed", "keys.json");
  await Deno.mkdir(dirname(path));
  await createKeyFile(path);
  const before = await Deno.readTextFile(path);
  if (Deno.uid() === 0) await Deno.chown(dirname(path), 65_534, 65_534);
  await Deno.chmod(dirname(path), 0o555);
  const sentence = (name: string) =>
    `JWT_KEYS_FILE ${folder.path}/closed/${name} can't be written: ` +
    `the user who runs this may not make files in ${folder.path}/closed`;
  deepStrictEqual(await keysTask(["rotate"], path), { code: 1, output: sentence("keys.json") });
  strictEqual(await Deno.readTextFile(path), before);
  deepStrictEqual(await keysTask(["create"], `${dirname(path)}/other.json`), {
    code: 1,
    output: sentence("other.json"),
  });
  await Deno.chmod(dirname(path), 0o700);
});

Deno.test("a rotation that would take the file from its group is refused, and the keys stay", {
  // Only root can give a file to a group that it isn't in.
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
}, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  await Deno.chown(path, 0, 65_533);
  await Deno.chmod(path, 0o640);
  const before = await Deno.readTextFile(path);
  deepStrictEqual(await keysTask(["rotate"], path), {
    code: 1,
    output: `JWT_KEYS_FILE ${path} can't be written: ` +
      "only root can put another with its owner and group in its place",
  });
  strictEqual(await Deno.readTextFile(path), before);
  deepStrictEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["keys.json"]);
});

Deno.test("a file that is too large for a key file is not read to its end", posix, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  using file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
  // It takes no space on disk, but would exceed the memory if it were read.
  await file.truncate(2 ** 40);
  await rejects(
    loadSigningKeys(path),
    new RegExp(`^KeyFileError: JWT_KEYS_FILE ${path} is not a key file: it has more than 1 MB`),
  );
});

Deno.test(
  "the commands suggested for a broken key file work, also with unusual paths",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "it's mine", "keys $HOME.json");
    await Deno.mkdir(dirname(path));
    const quoted = `'${folder.path}/it'\\''s mine/keys $HOME.json'`;
    const run = async (commands: string) => {
      const words = commands.replaceAll("deno task", `${Deno.execPath()} task --quiet`);
      const { code } = await new Deno.Command("sh", { args: ["-c", words], cwd: PROJECT }).output();
      strictEqual(code, 0, commands);
    };
    for (const [content, what] of [["", "is empty"], ["{", "is not a key file"]] as const) {
      await Deno.writeTextFile(path, content, { mode: 0o600 });
      const error = await loadSigningKeys(path).then(() => undefined, (error) => error);
      ok(error instanceof KeyFileError);
      const commands = `mv ${quoted} ${quoted}.broken && ` +
        `JWT_KEYS_FILE=${quoted} deno task keys create`;
      strictEqual(
        error.message,
        `JWT_KEYS_FILE ${path} ${what}: put a copy of it back, or make a new one, ` +
          `which ends all tokens: ${commands}`,
      );
      await run(commands);
      await loadSigningKeys(path);
      strictEqual(await Deno.readTextFile(`${path}.broken`), content);
    }
    await Deno.chmod(path, 0o644);
    await rejects(loadSigningKeys(path), (error: Error) => {
      match(error.message, / can be read by others: chmod o= /);
      const [, command = ""] = error.message.split("others: ");
      strictEqual(command, `chmod o= ${quoted}`);
      return true;
    });
    await run(`chmod o= ${quoted}`);
    await loadSigningKeys(path);
  },
);

Deno.test("a key file that would exceed its limit is pruned first", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await createKeyFile(path);
  const { keys: [key] } = JSON.parse(await Deno.readTextFile(path));
  const keys = Array.from({ length: 1_000 }, () => ({ ...key, kid: crypto.randomUUID() }));
  await Deno.writeTextFile(path, JSON.stringify({ keys }));
  await loadSigningKeys(path);
  await rejects(rotateKeys(path), (error: Error) => {
    strictEqual(
      error.message,
      `JWT_KEYS_FILE ${path} has ${keys.length} keys, and one more would be too many: ` +
        `drop some with: JWT_KEYS_FILE=${path} deno task keys prune --now`,
    );
    return true;
  });
  deepStrictEqual(await keyIdsIn(path), keys.map(({ kid }) => kid));
  strictEqual((await keysTask(["prune", "--now"], path)).code, 0);
  strictEqual(await rotateKeys(path), 2);
});

Deno.test("a start with a pipe as key file fails immediately", posix, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await new Deno.Command("mkfifo", { args: [path] }).output();
  const loading = loadSigningKeys(path).then(() => "loaded", (error) => String(error));
  let response: string | undefined;
  loading.then((text) => response = text);
  await eventually("it is refused", () => Promise.resolve(response !== undefined));
  strictEqual(response, `KeyFileError: JWT_KEYS_FILE ${path} is a pipe: name a file`);
});
