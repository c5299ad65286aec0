import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { KeysSettings, UserSettings } from "./auth/config.ts";
import { ApiSettings, ConfigError, type Environment, readSettings } from "./config.ts";
import { GrantsSettings, MigrateSettings } from "./db/config.ts";
import { JobsSettings, WorkerSettings } from "./jobs/config.ts";
import { fileSettingOf, secretNames } from "./secret_files.ts";
import { helpText } from "./task_help.ts";
import { mountSecret, swapMounted } from "./testing/mounted_secret.ts";
import { taskOutput } from "./testing/task_output.ts";
import { temporaryFolder } from "./testing/temporary_folder.ts";

const posix = { ignore: Deno.build.os === "windows" };

const Settings = z.object({
  TOKEN: z.string().min(8).meta({ description: "eight letters", formerly: "OLD", secret: true }),
  OTHER: z.string().optional().meta({ description: "another secret", secret: true }),
  PLAIN: z.string().default("x").meta({ description: "no secret" }),
});

/** The settings, or the mistakes without the line before them. */
function outcome(environment: Environment): unknown {
  try {
    return { ...readSettings(Settings, environment, () => {}) };
  } catch (error) {
    ok(error instanceof ConfigError);
    return error.message.split("\n  ").slice(1);
  }
}

/** Writes a file that only its owner can read. */
async function secretFile(folder: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, "secret");
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.writeFile(path, bytes, { mode: 0o600 });
  return path;
}

Deno.test("a secret may be in a file, without the end of its line", async () => {
  await using folder = await temporaryFolder();
  for (const end of ["", "\n", "\r\n"]) {
    const path = await secretFile(folder.path, ` s€cret '"$x${end}`);
    deepStrictEqual(outcome({ TOKEN_FILE: path, TOKEN: "" }), {
      TOKEN: ` s€cret '"$x`,
      PLAIN: "x",
    });
  }
});

Deno.test("only a secret has a file, and an empty path counts as not set", async () => {
  await using folder = await temporaryFolder();
  const path = await secretFile(folder.path, "12345678");
  deepStrictEqual(outcome({ TOKEN_FILE: path, PLAIN_FILE: "/none", OTHER_FILE: "" }), {
    TOKEN: "12345678",
    PLAIN: "x",
  });
  deepStrictEqual(outcome({ TOKEN_FILE: "" }), ["TOKEN is missing: expected eight letters"]);
});

Deno.test("a secret that is set by itself and by a file is refused, without its value", async () => {
  await using folder = await temporaryFolder();
  const path = await secretFile(folder.path, "12345678");
  for (const name of ["TOKEN", "OLD"]) {
    deepStrictEqual(outcome({ [name]: "12345678", TOKEN_FILE: path }), [
      `${name} and TOKEN_FILE are both set: set one of them`,
    ]);
  }
});

Deno.test("an invalid secret of a file is refused with the file's name, and without its content", async () => {
  await using folder = await temporaryFolder();
  const path = await secretFile(folder.path, "hunter2\n");
  deepStrictEqual(outcome({ TOKEN_FILE: path }), [
    `TOKEN is invalid: expected eight letters (it was read from ${path})`,
  ]);
});

/** Files that can't hold a secret, and why. A file named `secret` is there, with a good one. */
const UNUSABLE: readonly {
  readonly name: string;
  readonly plant: (path: string) => Promise<unknown>;
  readonly why: (path: string) => string;
}[] = [
  { name: "a missing file", plant: (path) => Deno.remove(path), why: () => "isn't there" },
  {
    name: "a link to nothing",
    plant: async (path) => {
      await Deno.remove(path);
      await Deno.symlink("none", path);
    },
    why: () => "isn't there",
  },
  {
    name: "a folder",
    plant: async (path) => {
      await Deno.remove(path);
      await Deno.mkdir(path);
    },
    why: () => "is a folder: name a file",
  },
  {
    name: "a pipe",
    plant: async (path) => {
      await Deno.remove(path);
      await new Deno.Command("mkfifo", { args: ["-m", "600", path] }).output();
    },
    why: () => "is no regular file: name one",
  },
  { name: "an empty file", plant: (path) => Deno.truncate(path), why: () => "is empty" },
  {
    name: "a file of an empty line",
    plant: (path) => Deno.writeTextFile(path, "\n"),
    why: () => "is empty",
  },
  {
    name: "a file without an end",
    plant: (path) => Deno.truncate(path, 2 ** 40),
    why: () => "has more than 65536 bytes",
  },
  {
    name: "a file that is one byte too long",
    plant: (path) => Deno.writeTextFile(path, "hunter2".padEnd(65_537, "x")),
    why: () => "has more than 65536 bytes",
  },
  {
    name: "a file of two lines",
    plant: (path) => Deno.writeTextFile(path, "hunter2\nhunter3\n"),
    why: () => "holds more than one line, or characters that are no text",
  },
  {
    name: "a file with a NUL",
    plant: (path) => Deno.writeTextFile(path, "hunter2\0"),
    why: () => "holds more than one line, or characters that are no text",
  },
  {
    name: "a file of other bytes than UTF-8",
    plant: (path) => Deno.writeFile(path, new Uint8Array([104, 117, 110, 255])),
    why: () => "holds no text in UTF-8",
  },
  ...[0o604, 0o602, 0o601, 0o444, 0o777].map((mode) => ({
    name: `a file of mode ${mode.toString(8)}`,
    plant: (path: string) => Deno.chmod(path, mode),
    why: (path: string) => `can be read by others: chmod o= ${path}`,
  })),
];

for (const { name, plant, why } of UNUSABLE) {
  Deno.test(
    `${name} holds no secret: the message names setting and path alone`,
    posix,
    async () => {
      await using folder = await temporaryFolder();
      const path = await secretFile(folder.path, "hunter2hunter2");
      await plant(path);
      for (const setting of ["TOKEN", "OTHER"]) {
        const others = setting === "TOKEN" ? {} : { TOKEN: "12345678" };
        deepStrictEqual(outcome({ ...others, [`${setting}_FILE`]: path }), [
          `${setting}_FILE is invalid: ${path} ${why(path)}`,
        ]);
      }
    },
  );
}

Deno.test(
  "a file of another user has a message with its owner, its group and its mode",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    await Deno.chmod(folder.path, 0o755);
    const path = await secretFile(folder.path, "hunter2");
    const asRoot = Deno.build.os === "linux" && Deno.uid() === 0;
    await Deno.chmod(path, asRoot ? 0o440 : 0o000);
    if (asRoot) await Deno.chown(path, 65_534, 65_533);
    const { uid, gid } = await Deno.stat(path);
    // Without root's power to open files of others.
    const [program = "", ...args] = [
      ...(asRoot ? ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] : []),
      ...[Deno.execPath(), "task", "--quiet", "migrate"],
    ];
    const { code, stderr } = await new Deno.Command(program, {
      args,
      cwd: new URL(".", import.meta.url),
      env: { DATABASE_URL: "", DATABASE_URL_FILE: path },
    }).output();
    strictEqual(code, 1);
    deepStrictEqual(new TextDecoder().decode(stderr).trim().split("\n"), [
      "Invalid settings:",
      `  DATABASE_URL_FILE is invalid: ${path} can't be read by the user who runs this: ` +
      `it belongs to user ${uid} and group ${gid}, and has mode ${asRoot ? "0440" : "0000"}`,
    ]);
  },
);

Deno.test("a file of the longest size is read", async () => {
  await using folder = await temporaryFolder();
  const path = await secretFile(folder.path, "x".repeat(65_536));
  deepStrictEqual(outcome({ TOKEN_FILE: path }), { TOKEN: "x".repeat(65_536), PLAIN: "x" });
});

Deno.test(
  "a secret that Kubernetes has mounted is read, also after it was swapped",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const path = await mountSecret(folder.path, "token", "the first one\n");
    deepStrictEqual(outcome({ TOKEN_FILE: path }), { TOKEN: "the first one", PLAIN: "x" });
    await swapMounted(folder.path, "token", "the second one");
    deepStrictEqual(outcome({ TOKEN_FILE: path }), { TOKEN: "the second one", PLAIN: "x" });
  },
);

Deno.test("the help of a task names the file of a secret below it", () => {
  const lines = helpText({ task: "migrate", settings: [Settings] }).split("\n");
  const at = lines.indexOf("  TOKEN       eight letters");
  strictEqual(lines[at + 1], "  TOKEN_FILE  a file with TOKEN, instead");
});

const SCHEMAS = {
  ApiSettings,
  GrantsSettings,
  JobsSettings,
  KeysSettings,
  MigrateSettings,
  UserSettings,
  WorkerSettings,
};

for (const [name, schema] of Object.entries(SCHEMAS)) {
  Deno.test(`every setting of ${name} that holds a secret is marked, and its file's name is free`, () => {
    const named = Object.keys(schema.shape).filter((setting) =>
      /(?:_SECRET|_TOKEN|PASSWORD)$|^(?:DATABASE|VALKEY)_(?:.*_)?URL$/.test(setting)
    );
    deepStrictEqual(secretNames(schema), named);
    for (const secret of named) ok(!(fileSettingOf(secret) in schema.shape), secret);
  });
}

Deno.test(
  "each task of the service refuses a secret's file that can be read by others",
  posix,
  async () => {
    await using folder = await temporaryFolder();
    const path = await secretFile(folder.path, "postgres://u:hunter2@127.0.0.1:1/d");
    await Deno.chmod(path, 0o644);
    const tasks = [["start"], ["worker"], ["migrate"], ["jobs", "list"], ["user", "list"]];
    await Promise.all([...tasks, ["grants", "--apply"]].map(async (words) => {
      const { error } = await taskOutput(words, {
        DATABASE_URL_FILE: path,
        DATABASE_URL: "",
        AUTH_MODE: "legacy",
        JWT_KEYS_FILE: "/keys.json",
      });
      deepStrictEqual(error.split("\n"), [
        "Invalid settings:",
        `  DATABASE_URL_FILE is invalid: ${path} can be read by others: chmod o= ${path}`,
      ], words.join(" "));
    }));
  },
);
