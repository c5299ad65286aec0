import { strictEqual } from "node:assert/strict";
import { basename, join } from "node:path";
import { debianProgram } from "../dev/debian_packages.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

/** The gateway's unit goes with its folder. */
const FOLDERS = ["./systemd/", "../cutover/systemd/"];
/** In tenths of systemd's scale from 0 to 10. */
const MAX_EXPOSURE = "15";

/** The machine's own systemd-analyze, or Debian's. */
async function analyze(args: readonly string[]): Promise<string> {
  const { command, args: before } = await programOf();
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...before, ...args],
    env: { SYSTEMD_COLORS: "0" },
  }).output();
  const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  return code === 0 ? "" : output || `code ${code}`;
}

async function programOf() {
  const own = "/usr/bin/systemd-analyze";
  const isThere = await Deno.stat(own).then(() => true, () => false);
  return isThere ? { command: own, args: [] } : await debianProgram({
    name: "systemd",
    release: "bookworm",
    packages: PACKAGES,
    path: "usr/bin/systemd-analyze",
  });
}

const PACKAGES = ["systemd", "libsystemd-shared", "libsystemd0", "libc6", "libseccomp2", "libpam0g"]
  .concat("libaudit1", "libkmod2", "libapparmor1", "libselinux1", "libmount1", "libacl1")
  .concat("libblkid1", "libcap2", "libcrypt1", "libgcrypt20", "libip4tc2", "liblz4-1", "libssl3")
  .concat("libzstd1", "liblzma5", "libcap-ng0", "libpcre2-8-0", "libgpg-error0", "libcryptsetup12")
  .concat("libfdisk1");

async function listUnits(): Promise<URL[]> {
  const units: URL[] = [];
  for (const folder of FOLDERS) {
    const url = new URL(folder, import.meta.url);
    try {
      for await (const { name } of Deno.readDir(url)) units.push(new URL(name, url));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return units;
}

for (const unit of await listUnits()) {
  const name = basename(unit.pathname);
  Deno.test(`systemd finds no mistake in ${name}, and little that the process could harm`, async () => {
    await using folder = await temporaryFolder();
    // A template is checked as one of its instances; this machine may have no Deno at that path.
    const file = join(folder.path, name.replace("@", "@8001"));
    const text = (await Deno.readTextFile(unit)).replaceAll("/usr/local/bin/deno", Deno.execPath());
    await Deno.writeTextFile(file, text);
    strictEqual(await analyze(["verify", "--man=no", file]), "");
    strictEqual(
      await analyze(["security", "--offline=true", `--threshold=${MAX_EXPOSURE}`, file]),
      "",
    );
  });
}
