import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { taskWords } from "../dev/task_command.ts";
import { type Installed, listInstalled, listLockfiles } from "./lockfiles.ts";
import { type Answer, findVulnerabilities, judge, parseAnswers } from "./vulnerabilities.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** As npm's registry responds, for `hono` before 4.9.7: shortened. */
const ADVISORY = {
  id: 1107610,
  url: "https://github.com/advisories/GHSA-92vj-g62v-jqhh",
  title: "Hono has Body Limit Middleware Bypass",
  severity: "moderate",
  vulnerable_versions: "<4.9.7",
  cwe: ["CWE-444"],
  cvss: { score: 5.3, vectorString: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:L/A:N" },
};
const Body = z.record(z.string(), z.array(z.string()));

/** A registry that knows these advisories, or responds in another way. */
function registry(respond: Record<string, unknown[]> | ((request: Request) => Response)) {
  const bodies: z.output<typeof Body>[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    if (typeof respond === "function") return respond(request);
    const isKnown = new URL(request.url).pathname === "/npm/-/npm/v1/security/advisories/bulk";
    if (!isKnown || request.method !== "POST") return new Response("", { status: 404 });
    bodies.push(Body.parse(await request.json()));
    return Response.json(respond);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/npm`,
    bodies,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const installed = (name: string, version: string): Installed => ({
  name,
  version,
  lockfiles: ["deno.lock"],
});

Deno.test("the registry is sent all locked versions, and an advisory concerns those in its range", async () => {
  await using npm = registry({
    hono: [ADVISORY],
    zod: [{ ...ADVISORY, vulnerable_versions: "<1" }],
  });
  const packages = [
    installed("hono", "4.9.6"),
    installed("zod", "4.0.0"),
    installed("hono", "4.9.7"),
  ];
  const findings = await findVulnerabilities(npm.url, packages);
  deepStrictEqual(npm.bodies, [{ hono: ["4.9.6", "4.9.7"], zod: ["4.0.0"] }]);
  deepStrictEqual(findings.map((one) => [one.package, one.id, one.installed]), [
    ["hono", "GHSA-92vj-g62v-jqhh", [packages[0]]],
  ]);
});

const SILENT: [what: string, respond: (request: Request) => Response, problem: RegExp][] = [
  ["refuses the question", () => new Response("", { status: 405 }), /responds 405/],
  ["sends a page", () => new Response("<html>"), /doesn't say/],
  ["sends another form", () => Response.json({ hono: [{ id: "x" }] }), /another form than npm's/],
];

for (const [what, respond, problem] of SILENT) {
  Deno.test(`a registry that ${what} is an error: nothing was checked`, async () => {
    await using npm = registry(respond);
    const found = findVulnerabilities(npm.url, [installed("hono", "4.9.6")]);
    await rejects(
      found,
      (error: Error) => problem.test(error.message) && /Nothing was checked/.test(error.message),
    );
  });
}

Deno.test("every npm lockfile is read", async () => {
  const lockfiles = await listLockfiles(ROOT);
  ok(lockfiles.includes("deno.lock") && lockfiles.includes("contract-tests/lint/deno.lock"));
  ok(lockfiles.includes("contract-tests/generators/orval/package-lock.json"));
  const packages = await listInstalled(ROOT);
  deepStrictEqual(new Set(packages.flatMap((one) => one.lockfiles)), new Set(lockfiles));
  const find = (name: string) => packages.filter((one) => one.name === name);
  ok(find("hono")[0]?.lockfiles.includes("deno.lock"));
  ok(find("orval").length === 1 && find("@stoplight/spectral-cli").length === 1);
  // A package of several lockfiles stands once.
  strictEqual(
    new Set(packages.map(({ name, version }) => `${name}@${version}`)).size,
    packages.length,
  );
});

const ANSWER: Answer = {
  id: "GHSA-92vj-g62v-jqhh",
  package: "hono",
  verdict: "not affected",
  reason: "Lotline limits bodies by itself.",
  answered: "2026-12-01",
  until: "2027-03-01",
};
const FINDING = {
  ...{ id: ANSWER.id, package: "hono", title: "", severity: "", url: "" },
  installed: [installed("hono", "4.9.6")],
};
const JUDGED: [what: string, answers: Answer[], today: string, counts: number[]][] = [
  ["no answer is open", [], "2026-12-01", [0, 1, 0]],
  ["an answer is answered", [ANSWER], "2027-03-01", [1, 0, 0]],
  ["an answer that has ended is open", [ANSWER], "2027-03-02", [0, 1, 0]],
  ["an answer for another package is open", [{ ...ANSWER, package: "koa" }], "2026-12-01", [
    0,
    1,
    1,
  ]],
  ["an answer to another advisory is open", [{ ...ANSWER, id: "GHSA-x" }], "2026-12-01", [0, 1, 1]],
];

for (const [what, answers, today, counts] of JUDGED) {
  Deno.test(`a finding with ${what}`, () => {
    const { answered, open, unused } = judge([FINDING], answers, today);
    deepStrictEqual([answered.length, open.length, unused.length], counts);
  });
}

Deno.test("the answers of this project have the form of answers, and what hasn't is refused", async () => {
  parseAnswers(await Deno.readTextFile(`${ROOT}releasing/vulnerabilities.yaml`));
  deepStrictEqual(parseAnswers(JSON.stringify([ANSWER])), [ANSWER]);
  for (const wrong of [{ reason: "" }, { verdict: "fine" }, { until: ANSWER.answered }, { x: 1 }]) {
    throws(() => parseAnswers(JSON.stringify([{ ...ANSWER, ...wrong }])));
  }
});

/** The task, with a registry of the test. */
async function task(registry: string): Promise<{ readonly code: number; readonly output: string }> {
  const words = taskWords("vulnerabilities");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: words.slice(words.indexOf("deno") + 1),
    cwd: ROOT,
    env: { NO_COLOR: "1", npm_config_registry: registry, NO_PROXY: "127.0.0.1" },
  }).output();
  const text = new TextDecoder();
  return { code, output: text.decode(stdout) + text.decode(stderr) };
}

Deno.test("the task shows what is open, with its place, and ends with 1", async () => {
  const all = { ...ADVISORY, vulnerable_versions: "*" };
  await using npm = registry({
    hono: [all],
    orval: [{ ...all, url: "https://example.invalid/9" }],
  });
  const { code, output } = await task(npm.url);
  strictEqual(code, 1, output);
  match(output, /GHSA-92vj-g62v-jqhh \(moderate\) Hono has Body Limit/);
  match(output, /hono@\S+, in the image: deno\.lock/);
  match(output, /npm 1107610 .*\n.*\n {2}orval@\S+, not in the image: .*orval\/package-lock\.json/);
  match(
    output,
    /OPEN: no answer\. Update the package, or answer in releasing\/vulnerabilities\.yaml/,
  );
  match(output, /\d+ packages in 7 lockfiles: 2 known vulnerabilities, 2 open/);
});

Deno.test("the task ends with 0 when nothing is known, and with 2 when nothing was checked", async () => {
  await using npm = registry({});
  const quiet = await task(npm.url);
  deepStrictEqual([quiet.code, /: 0 known vulnerabilities, 0 open/.test(quiet.output)], [0, true]);
  await using mirror = registry(() => new Response("", { status: 405 }));
  const silent = await task(mirror.url);
  deepStrictEqual([silent.code, /Nothing was checked/.test(silent.output)], [2, true]);
});
