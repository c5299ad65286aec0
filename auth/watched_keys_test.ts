import { deepStrictEqual, match, notStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { Log } from "../log.ts";
import { eventually } from "../testing/eventually.ts";
import { keyFiles } from "../testing/keys.ts";
import { mountSecret, swapMounted } from "../testing/mounted_secret.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { KeyFileError } from "./key_file.ts";
import { rotateKeys } from "./keys.ts";
import { watchSigningKeys } from "./watched_keys.ts";

const newKeyFile = await keyFiles();

function recordedLog() {
  const lines: string[] = [];
  const log: Log = (level, message, fields) => {
    lines.push(`${level}: ${message}${fields?.error ? `: ${fields.error}` : ""}`);
  };
  return { log, lines };
}

Deno.test("a rotated key is soon used without a restart, and logged", async () => {
  const path = await newKeyFile();
  const { log, lines } = recordedLog();
  using keys = await watchSigningKeys(path, log);
  const before = keys.current();
  await rotateKeys(path);
  await eventually("the new key is loaded", () => Promise.resolve(keys.current() !== before));
  notStrictEqual(keys.current().kid, before.kid);
  deepStrictEqual(keys.current().published.keys.map(({ kid }) => kid), [
    keys.current().kid,
    before.kid,
  ]);
  deepStrictEqual(lines, ["info: signing_keys_loaded"]);
});

Deno.test("a key with a delayed start is used from its start on", async () => {
  const path = await newKeyFile();
  using keys = await watchSigningKeys(path, recordedLog().log);
  const before = keys.current().kid;
  await rotateKeys(path, new Date(Date.now() + 2_500));
  await keys.refresh();
  strictEqual(keys.current().kid, before);
  strictEqual(keys.current().published.keys.length, 2);
  await eventually("it signs", () => Promise.resolve(keys.current().kid !== before));
  strictEqual(keys.current().until, undefined);
});

Deno.test("a requested read sees the file as it was at the request", async () => {
  const path = await newKeyFile();
  using keys = await watchSigningKeys(path, recordedLog().log);
  for (let round = 0; round < 5; round++) {
    const before = keys.current();
    // A read that is already running may have passed the file before it changed.
    const early = [keys.refresh(), keys.refresh()];
    await rotateKeys(path);
    await keys.refresh();
    notStrictEqual(keys.current().kid, before.kid);
    await Promise.all(early);
  }
});

Deno.test("an unchanged file isn't read again", async () => {
  const path = await newKeyFile();
  using keys = await watchSigningKeys(path, recordedLog().log);
  const before = keys.current();
  await Promise.all([keys.refresh(), keys.refresh(), keys.refresh()]);
  strictEqual(keys.current(), before);
});

Deno.test("an unusable file leaves the earlier keys in use, is logged once, and may be corrected", async () => {
  const path = await newKeyFile();
  const { log, lines } = recordedLog();
  using keys = await watchSigningKeys(path, log);
  const before = keys.current();
  const good = await Deno.readTextFile(path);
  const faults: [reason: RegExp, plant: () => Promise<void>][] = [
    [/can be read by others/, () => Deno.chmod(path, 0o644)],
    [/is not a key file/, async () => {
      await Deno.chmod(path, 0o600);
      await Deno.writeTextFile(path, "{}");
    }],
    [/can't be read/, () => Deno.remove(path)],
  ];
  for (const [reason, plant] of faults) {
    lines.length = 0;
    await plant();
    await keys.refresh();
    await keys.refresh();
    strictEqual(keys.current(), before);
    strictEqual(lines.length, 1);
    match(lines[0] ?? "", reason);
  }
  await Deno.writeTextFile(path, good, { mode: 0o600 });
  await keys.refresh();
  strictEqual(keys.current().kid, before.kid);
  notStrictEqual(keys.current(), before);
});

Deno.test("keys that Kubernetes has mounted are used, and after a swap those of the new version", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using folder = await temporaryFolder();
  const source = await newKeyFile();
  const path = await mountSecret(folder.path, "jwt.json", await Deno.readFile(source));
  const { log, lines } = recordedLog();
  using keys = await watchSigningKeys(path, log);
  for (let swap = 0; swap < 3; swap++) {
    const before = keys.current().kid;
    await rotateKeys(source);
    await swapMounted(folder.path, "jwt.json", await Deno.readFile(source));
    await eventually("the new key signs", () => Promise.resolve(keys.current().kid !== before));
    strictEqual(keys.current().published.keys[1]?.kid, before);
  }
  deepStrictEqual(lines, Array(3).fill("info: signing_keys_loaded"));
});

Deno.test("a file that gets another owner or group is read again: the process may be in it", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const path = await newKeyFile();
  const { log, lines } = recordedLog();
  using keys = await watchSigningKeys(path, log);
  await eventually("it is read again", async () => {
    // Changes neither content nor mode. The file system's clock may not have moved on since before.
    await Deno.chown(path, Deno.uid(), Deno.gid());
    await keys.refresh();
    return lines.includes("info: signing_keys_loaded");
  });
});

Deno.test("a start without a usable key file is refused", async () => {
  await rejects(watchSigningKeys(`${await newKeyFile()}.none`, recordedLog().log), KeyFileError);
});
