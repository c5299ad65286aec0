import { match, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Contracts,
  findRelease,
  freezeContract,
  problemOfReleased,
  readContracts,
} from "./released.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const documentOf = (version: string, more = "") =>
  `openapi: 3.1.0\ninfo: { title: Lotline, version: ${version} }\n${more}`;

Deno.test("contract/released.yaml is what the last tag had", async () => {
  const last = await findRelease(ROOT);
  if (last === undefined) {
    console.log("git has no tag of a release here: contract/released.yaml is compared with none");
    return;
  }
  strictEqual(problemOfReleased(await readContracts(ROOT), last), undefined);
});

const OLD = documentOf("0.1.0");
const CHANGED = documentOf("0.1.0", "x-changed: true\n");
const NEW = documentOf("0.2.0");

const CASES: [what: string, contracts: Contracts, problem: RegExp | undefined][] = [
  ["nothing has changed", { contract: OLD, released: OLD }, undefined],
  ["the contract has changed since", { contract: CHANGED, released: OLD }, undefined],
  ["the next version is about to be tagged", { contract: NEW, released: NEW }, undefined],
  [
    "it was edited",
    { contract: OLD, released: CHANGED },
    /differs from openapi\.yaml at v0\.1\.0/,
  ],
  [
    "it was copied without a new version",
    { contract: CHANGED, released: CHANGED },
    /differs from openapi\.yaml at v0\.1\.0/,
  ],
  [
    "it is of a version between",
    { contract: documentOf("0.3.0"), released: NEW },
    /neither openapi\.yaml nor what the last tag had/,
  ],
];

for (const [what, contracts, problem] of CASES) {
  Deno.test(`where ${what}, released.yaml is ${problem ? "refused" : "right"}`, () => {
    const found = problemOfReleased(contracts, { tag: "v0.1.0", contract: OLD });
    if (problem === undefined) strictEqual(found, undefined);
    else match(found ?? "", problem);
  });
}

/** A repository with a contract of version 0.1.0. */
async function withRepository(action: (root: string, git: Git) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "lotline-release-" });
  const git: Git = async (...args) => {
    const { success, stderr } = await new Deno.Command("git", {
      args: ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", ...args],
      cwd: root,
    }).output();
    strictEqual(success, true, new TextDecoder().decode(stderr));
  };
  try {
    await Deno.mkdir(join(root, "contract"));
    await Deno.writeTextFile(join(root, "openapi.yaml"), OLD);
    await Deno.writeTextFile(join(root, "contract/released.yaml"), "");
    await git("init", "--quiet");
    await git("add", ".");
    await git("commit", "--quiet", "--message=First");
    await action(root, git);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

type Git = (...args: string[]) => Promise<void>;

Deno.test("a release copies the contract once for each version, and its tag is found from later commits", async () => {
  await withRepository(async (root, git) => {
    strictEqual(await findRelease(root), undefined);
    strictEqual(await freezeContract(root), "v0.1.0");
    strictEqual((await readContracts(root)).released, OLD);
    await git("commit", "--quiet", "--all", "--message=Release 0.1.0");
    await git("tag", "v0.1.0");
    await git("tag", "viewer-1");
    await Deno.writeTextFile(join(root, "openapi.yaml"), CHANGED);
    await git("commit", "--quiet", "--all", "--message=Change");
    const last = await findRelease(root);
    strictEqual(last?.tag, "v0.1.0");
    strictEqual(last?.contract, OLD);
    strictEqual(last && problemOfReleased(await readContracts(root), last), undefined);
    await rejects(freezeContract(root), /v0\.1\.0 is released already: raise info\.version/);
    strictEqual((await readContracts(root)).released, OLD);
  });
});

Deno.test("a folder that is no repository has no release", async () => {
  const root = await Deno.makeTempDir({ prefix: "lotline-release-" });
  try {
    strictEqual(await findRelease(root), undefined);
  } finally {
    await Deno.remove(root);
  }
});
