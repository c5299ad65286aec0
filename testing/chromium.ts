import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/*
 * A Chromium for tests of what runs in browsers: the machine's own, or Debian's package. playwright-core
 * brings none and downloads none.
 */

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const USUAL_PATHS = [
  "/usr/bin/chromium",
  "/snap/bin/chromium",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

// Package lists that have grown old name files which are gone. Without a font Chromium shows no text.
const INSTALL = `
export DEBIAN_FRONTEND=noninteractive
options="-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq"
install() { apt-get $options install -y --no-install-recommends chromium fonts-dejavu-core </dev/null; }
install || { apt-get $options update && install; }
`;

/**
 * A Chromium without a window, for all tests of the calling file. Each test opens a context of its own.
 *
 * @throws Error when the machine has none, and it can't be installed
 */
export async function chromiumForTests(): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: await findChromium() ?? await installChromium(),
    // Containers often limit /dev/shm to 64 MiB, which ends a tab at a random moment.
    args: ["--disable-dev-shm-usage"],
  });
  Deno.test.afterAll(() => browser.close());
  return browser;
}

async function findChromium(): Promise<string | undefined> {
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter(Boolean);
  const paths = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  for (const path of [...paths, ...USUAL_PATHS]) if (await exists(path)) return path;
  return undefined;
}

async function installChromium(): Promise<string> {
  const advice = "These tests need Chromium or Chrome: install the package chromium";
  const mayInstall = Deno.build.os === "linux" && Deno.uid() === 0;
  if (!mayInstall || !await exists("/usr/bin/apt-get")) throw new Error(advice);
  using claim = await Deno.open("/var/lock/lotline-install.lock", { write: true, create: true });
  await claim.lock(true);
  // Another process may have installed it while we waited.
  const found = await findChromium();
  if (found !== undefined) return found;
  const { stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", INSTALL],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  const installed = await findChromium();
  if (installed !== undefined) return installed;
  throw new Error(`${advice}. Installing it failed: ${new TextDecoder().decode(stderr).trim()}`);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
