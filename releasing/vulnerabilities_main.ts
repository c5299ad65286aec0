/**
 * `deno task vulnerabilities`: known vulnerabilities of the packages in the project's npm lockfiles.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RefusedError, runMain } from "../command_line.ts";
import { listInstalled, listLockfiles } from "./lockfiles.ts";
import { closureOf, importsOfImage, parseDenoLock } from "./locked_packages.ts";
import { type Finding, findVulnerabilities, judge, parseAnswers } from "./vulnerabilities.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const ANSWERS = "releasing/vulnerabilities.yaml";

/** npm's own setting, from its files or the environment. */
async function registryOfNpm(): Promise<string> {
  const args = ["config", "get", "registry"];
  const { success, stdout } = await new Deno.Command("npm", { args, cwd: ROOT }).output()
    .catch(() => ({ success: false, stdout: new Uint8Array() }));
  if (!success) throw new RefusedError("npm is needed: it knows the registry's address.");
  return new TextDecoder().decode(stdout).trim();
}

/** The packages that the image has, as `name@version`. */
async function listInImage(): Promise<Set<string>> {
  const lock = parseDenoLock(await Deno.readTextFile(join(ROOT, "deno.lock")));
  const keys = closureOf(lock, await importsOfImage(ROOT, lock));
  return new Set([...keys].map((key) => {
    const { name, version } = lock.packages.get(key) ?? {};
    return `${name}@${version}`;
  }));
}

function show(finding: Finding, verdict: string, inImage: ReadonlySet<string>): void {
  const { id, title, severity, url, installed } = finding;
  console.log(`${id} (${severity}) ${title}\n  ${url}`);
  for (const { name, version, lockfiles } of installed) {
    const place = inImage.has(`${name}@${version}`) ? "in the image" : "not in the image";
    console.log(`  ${name}@${version}, ${place}: ${lockfiles.join(", ")}`);
  }
  console.log(`  ${verdict}\n`);
}

await runMain(
  {
    task: "vulnerabilities",
    exit: `0 none, or all have an answer in ${ANSWERS}; 1 some have none; 2 nothing was checked`,
    failed: 2,
  },
  async () => {
    const installed = await listInstalled(ROOT);
    const lockfiles = await listLockfiles(ROOT);
    const answers = parseAnswers(await Deno.readTextFile(join(ROOT, ANSWERS)));
    const findings = await findVulnerabilities(await registryOfNpm(), installed);
    const today = new Date().toISOString().slice(0, 10);
    const { answered, open, unused } = judge(findings, answers, today);
    const inImage = findings.length === 0 ? new Set<string>() : await listInImage();
    for (const [finding, { verdict, reason, until }] of answered) {
      show(finding, `${verdict}, until ${until}: ${reason}`, inImage);
    }
    for (const [finding, ended] of open) {
      const why = ended === undefined ? "no answer" : `its answer ended on ${ended.until}`;
      show(finding, `OPEN: ${why}. Update the package, or answer in ${ANSWERS}.`, inImage);
    }
    for (const { id, package: name } of unused) {
      console.log(`${id} of ${name} isn't found any more: remove its answer.`);
    }
    console.log(
      `${installed.length} packages in ${lockfiles.length} lockfiles: ${findings.length} known ` +
        `vulnerabilities, ${open.length} open`,
    );
    return open.length === 0 ? 0 : 1;
  },
);
