import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { dirname, join } from "node:path";
import { findRelease, readContracts } from "../contract-tests/released.ts";
import { ensureOasdiff } from "../contract-tests/oasdiff.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { problemsOf } from "./checks.ts";
import { git } from "./git.ts";
import { tagRelease } from "./release.ts";
import { readVersion, setVersion } from "./version_files.ts";

const DAY = "2026-12-01";
const operation = (id: string) =>
  `  /${id}:\n    get: { operationId: ${id}, responses: { "200": { description: Done } } }\n`;
const contractWith = (...ids: string[]) =>
  `openapi: 3.1.0\ninfo:\n  title: Lotline\n  version: 0.1.0\npaths:\n${
    ids.map(operation).join("")
  }`;
const changelogWith = (unreleased: string, rest = "") =>
  `# Changelog\n\n## Unreleased\n${unreleased}${rest}`;

const FILES: Readonly<Record<string, string>> = {
  "deno.json": '{\n  "version": "0.1.0"\n}\n',
  "openapi.yaml": contractWith("lots", "traces"),
  "contract/released.yaml": contractWith("lots", "traces"),
  "client/package.json": '{\n  "version": "0.1.0"\n}\n',
  "client/README.md": "npm install lotline-client-0.1.0.tgz\n",
  "Dockerfile": "ARG LOTLINE_VERSION=0.1.0\n",
  "deploy/kubernetes/base/kustomization.yaml": "images:\n  - name: lotline\n    newTag: 0.1.0\n",
  "docs/kubernetes.md": "docker build -t plant.example/lotline:0.1.0 . # since 0.0.9\n",
  "deploy/nginx.conf": "# 1.2.3\n",
  "db/migrations/0001_lots.sql": "select 1;\n",
  "cutover/migrations/0001_routes.sql": "select 1;\n",
  ".env.example": "# The port.\nPORT=8000\n# The host.\nHOST=127.0.0.1\n",
  "CHANGELOG.md": changelogWith("\n- Lots.\n"),
};

/** A small repository with what a release reads and writes. */
interface Repository extends AsyncDisposable {
  readonly root: string;
  write(files: Readonly<Record<string, string>>): Promise<void>;
  commit(files: Readonly<Record<string, string>>): Promise<void>;
  read(path: string): Promise<string>;
  problems(version: string): Promise<string[]>;
  release(version: string): Promise<string>;
}

async function repository(): Promise<Repository> {
  const folder = await temporaryFolder();
  const root = folder.path;
  await git(root, "init", "--quiet", "--initial-branch=main");
  const settings = ["user.name=Test", "user.email=test@example.invalid", "commit.gpgSign=false"];
  for (const setting of [...settings, "tag.gpgSign=false"]) {
    await git(root, "config", ...setting.split("="));
  }
  const write = async (files: Readonly<Record<string, string>>) => {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(join(root, dirname(path)), { recursive: true });
      await Deno.writeTextFile(join(root, path), text);
    }
  };
  const commit = async (files: Readonly<Record<string, string>>) => {
    await write(files);
    await git(root, "add", "--all");
    await git(root, "commit", "--quiet", "--message=Change");
  };
  await commit(FILES);
  const planOf = (version: string) => ({ root, version, branch: "main" });
  return {
    root,
    write,
    commit,
    read: (path) => Deno.readTextFile(join(root, path)),
    problems: (version) => problemsOf(planOf(version)),
    release: (version) => tagRelease(planOf(version), DAY),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** The repository after its first release, with something to release again. */
async function releasedRepository(unreleased = "\n- More.\n"): Promise<Repository> {
  const made = await repository();
  await made.release("0.1.0");
  const changelog = await made.read("CHANGELOG.md");
  await made.commit({
    "CHANGELOG.md": changelog.replace("## Unreleased\n", `## Unreleased\n${unreleased}`),
  });
  return made;
}

Deno.test("the first release needs no earlier one, and the next has the version in every file", async () => {
  await using made = await repository();
  deepStrictEqual(await made.problems("0.1.0"), []);
  strictEqual(await made.release("0.1.0"), "v0.1.0");
  strictEqual(
    await made.read("CHANGELOG.md"),
    `# Changelog\n\n## Unreleased\n\n## 0.1.0 — ${DAY}\n\n- Lots.\n`,
  );
  const changelog = await made.read("CHANGELOG.md");
  await made.commit({ "CHANGELOG.md": changelog.replace("\n\n## 0", "\n\n- More.\n\n## 0") });
  strictEqual(await made.release("0.2.0"), "v0.2.0");
  strictEqual(await git(made.root, "status", "--porcelain"), "");
  strictEqual(await readVersion(made.root), "0.2.0");
  for (const path of Object.keys(FILES).filter((one) => FILES[one]?.includes("0.1.0"))) {
    match(await made.read(path), /0\.2\.0/, path);
  }
  strictEqual(await made.read("deploy/nginx.conf"), "# 1.2.3\n");
  strictEqual((await findRelease(made.root))?.tag, "v0.2.0");
  const { contract, released } = await readContracts(made.root);
  strictEqual(released, contract);
  match(
    await made.read("CHANGELOG.md"),
    /## Unreleased\n\n## 0\.2\.0 — .*\n\n- More\.\n\n## 0\.1\.0/,
  );
});

const REFUSED: [
  what: string,
  problem: RegExp,
  prepare: (made: Repository) => Promise<void>,
  version?: string,
][] = [
  ["a version that is none", /^1\.2 is no version such as 1\.2\.3/, async () => {}, "1.2"],
  ["a version with a zero in front", /^1\.02\.3 is no version/, async () => {}, "1.02.3"],
  ["the version of the last release", /isn't greater than 0\.1\.0/, async () => {}, "0.1.0"],
  ["a version below the last release's", /isn't greater than 0\.1\.0/, async () => {}, "0.0.9"],
  ["a version below deno.json's", /less than 0\.3\.0/, async ({ root, commit }) => {
    await setVersion(root, "0.3.0");
    await commit({});
  }],
  [
    "a changed file",
    /aren't committed:\n M deno\.json/,
    ({ write }) => write({ "deno.json": FILES["deno.json"] + "\n" }),
  ],
  [
    "a file that git doesn't know",
    /aren't committed:\n\?\? more\.ts/,
    ({ write }) => write({ "more.ts": "" }),
  ],
  ["another branch", /The branch topic is checked out, not main/, async ({ root }) => {
    await git(root, "checkout", "--quiet", "-b", "topic");
  }],
  ["no branch", /No branch is checked out, not main/, async ({ root }) => {
    await git(root, "checkout", "--quiet", "--detach");
  }],
  ["nothing to release", /nothing under "Unreleased"/, async (made) => {
    const changelog = await made.read("CHANGELOG.md");
    await made.commit({ "CHANGELOG.md": changelog.replace("- More.\n", "") });
  }],
  ["no section of what is unreleased", /has no section "Unreleased" on top/, async (made) => {
    const changelog = await made.read("CHANGELOG.md");
    await made.commit({ "CHANGELOG.md": changelog.replace("## Unreleased", "## Next") });
  }],
  [
    "a clone without tags",
    /CHANGELOG\.md has 0\.1\.0, but git has no tag v0\.1\.0/,
    async ({ root }) => {
      await git(root, "tag", "--delete", "v0.1.0");
    },
  ],
  ["a tag on another branch", /The tag v0\.2\.0 is there already/, async ({ root, commit }) => {
    await git(root, "checkout", "--quiet", "-b", "topic");
    await commit({ "more.ts": "" });
    await git(root, "tag", "v0.2.0");
    await git(root, "checkout", "--quiet", "main");
  }],
  [
    "a migration that no upgrade note names",
    /under "Upgrading": 0002: db\/migrations\/0002_scales\.sql is new/,
    ({ commit }) => commit({ "db/migrations/0002_scales.sql": "select 2;\n" }),
  ],
  [
    "a migration of the cutover that no upgrade note names",
    /0002: cutover\/migrations\/0002_plans\.sql is new/,
    ({ commit }) => commit({ "cutover/migrations/0002_plans.sql": "select 2;\n" }),
  ],
  [
    "a setting that is gone",
    /under "Upgrading": HOST: is gone from \.env\.example/,
    ({ commit }) => commit({ ".env.example": "# The port.\nPORT=8000\n" }),
  ],
  [
    "another default",
    /PORT: has another value in \.env\.example/,
    ({ commit }) =>
      commit({ ".env.example": "# The port.\nPORT=9000\n# The host.\nHOST=127.0.0.1\n" }),
  ],
  [
    "a new setting that is required",
    /ZONE: is required from now on/,
    ({ commit }) =>
      commit({ ".env.example": FILES[".env.example"] + "# Required. The zone.\nZONE=\n" }),
  ],
];

for (const [what, problem, prepare, version = "0.2.0"] of REFUSED) {
  Deno.test(`no release with ${what}`, async () => {
    await using made = await releasedRepository();
    await prepare(made);
    const problems = await made.problems(version);
    strictEqual(problems.length, 1, problems.join("\n"));
    match(problems[0] ?? "", problem);
  });
}

Deno.test("what upgrade notes name, and what asks nothing of a plant, is released", async () => {
  await using made = await releasedRepository(
    "\n### Upgrading\n\n- Migration 0002 takes a minute. `HOST` is gone.\n\n### Added\n\n- More.\n",
  );
  await made.commit({
    "db/migrations/0002_scales.sql": "select 2;\n",
    ".env.example": "# The port.\nPORT=8000\n# Whether. Empty: no.\nQUIET=\n",
  });
  deepStrictEqual(await made.problems("0.2.0"), []);
});

Deno.test("a note elsewhere in the changelog, or of a longer name, is none", async () => {
  await using made = await releasedRepository(
    "\n### Upgrading\n\n- `HOST_NAME` and 10002 are new.\n\n### Added\n\n- 0002 and `HOST`.\n",
  );
  await made.commit({
    "db/migrations/0002_scales.sql": "select 2;\n",
    ".env.example": "# The port.\nPORT=8000\n",
  });
  strictEqual((await made.problems("0.2.0")).length, 2);
});

const oasdiff = await ensureOasdiff().catch((thrown: Error) => console.log(thrown.message));

Deno.test({
  name: "a contract that breaks clients needs a higher version than one that doesn't",
  ignore: oasdiff === undefined,
  fn: async () => {
    await using made = await releasedRepository();
    deepStrictEqual(await made.problems("0.1.1"), []);
    await made.commit({ "openapi.yaml": contractWith("lots") });
    const [problem, ...others] = await made.problems("0.1.1");
    deepStrictEqual(others, []);
    match(problem ?? "", /Clients of v0\.1\.0 break, so the version must be higher: traces: /);
    deepStrictEqual(await made.problems("0.2.0"), []);
  },
});

Deno.test("a release that git refuses leaves everything as it was", async () => {
  await using made = await releasedRepository();
  const head = await git(made.root, "rev-parse", "HEAD");
  await git(made.root, "config", "tag.gpgSign", "true");
  await git(made.root, "config", "gpg.program", "false");
  await rejects(made.release("0.2.0"), { name: "GitError" });
  deepStrictEqual(
    [await git(made.root, "rev-parse", "HEAD"), await git(made.root, "status", "--porcelain")],
    [head, ""],
  );
  strictEqual(await readVersion(made.root), "0.1.0");
});
