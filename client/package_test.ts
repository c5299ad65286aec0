import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { parse } from "yaml";
import { z } from "zod";
import project from "../deno.json" with { type: "json" };
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { rawResponse, startRawUpstream } from "../testing/raw_upstream.ts";

/* The package as npm would publish it, used from Node and by a compiler. */

const { api } = await apiOnSeed();

const HERE = new URL("./", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, HERE));

const Package = z.looseObject({
  version: z.string(),
  dependencies: z.record(z.string(), z.string()),
  scripts: z.undefined().optional(),
});

/** Runs a program; throws with what it said unless it went well. */
async function run(program: string, args: string[], cwd: string | URL): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { NO_COLOR: "1", npm_config_offline: "true", npm_config_update_notifier: "false" },
  }).output();
  const [said, complained] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${program} ${args.join(" ")}\n${said}${complained}`);
  return said ?? "";
}

/** The major version of the Node that there is, if any. */
async function nodeVersion(): Promise<number> {
  const version = await run("node", ["--version"], HERE).catch(() => "v0");
  return Number(/^v(\d+)/.exec(version)?.[1]);
}

const hasNode = await nodeVersion() >= 20;
const skipped = hasNode ? "" : " (skipped: there is no Node 20 or later with npm on this machine)";

const MENDED = `
import { createClient } from "@lotline/client";

const baseUrl = process.argv[2];
const kindOf = (error) => error.kind ?? error.message;
const client = createClient({ baseUrl });
const { lot_code } = await client.createLot({ lot_code: "A" });
const gone = await createClient({ baseUrl: "http://127.0.0.1:9", retries: 0 }).getHealth()
  .catch(kindOf);
const late = await createClient({ baseUrl, retries: 0, timeoutMs: 100 }).getHealth().catch(kindOf);
const controller = new AbortController();
setTimeout(() => controller.abort(new Error("mine")), 50);
const { signal } = controller;
const ended = await client.getHealth({ signal }).catch(kindOf);
const notBegun = await client.createAudit({ signal }).catch(kindOf);
console.log(JSON.stringify([lot_code, gone, late, ended, notBegun]));
`;

const PRINTED = `
import { createClient } from "@lotline/client";

const options = { retries: 0 };
const refused = createClient({ baseUrl: process.argv[2], ...options });
console.log(await refused.getTraceability("NO-SUCH-LOT").catch((error) => error));
console.log("---");
const nobody = createClient({ baseUrl: "http://127.0.0.1:1024", ...options });
console.log((await nobody.getHealth().catch((error) => error)).message);
`;

/** The README's example, for this address; `required` is the one with its first line of CommonJS. */
async function exampleFor(url: string): Promise<{ imported: string; required: string }> {
  const page = await read("README.md");
  const [, block = ""] = /```js\n([^]*?)```/.exec(page) ?? [];
  const [, firstLine = ""] = /replace the first line by\s+`(const [^`]*)`/.exec(page) ?? [];
  ok(block.includes("http://127.0.0.1:8000") && firstLine !== "");
  const imported = block.replace("http://127.0.0.1:8000", url);
  return { imported, required: imported.replace(/^import .*/, firstLine) };
}

/** A folder of somebody who has installed the packed package. */
async function consumer(): Promise<{ folder: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-client-" });
  const installed = `${folder}/node_modules/@lotline/client`;
  await run(Deno.execPath(), ["task", "--quiet", "client"], new URL("../", HERE));
  await run("npm", ["pack", "--pack-destination", folder], HERE);
  const [archive = ""] = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  await Deno.mkdir(`${folder}/package`);
  await run("tar", ["xzf", archive], folder);
  // Its dependencies come from where Deno keeps its own, as no network is needed for those; npm may
  // never have seen them on this machine.
  const { dependencies } = Package.parse(
    JSON.parse(await Deno.readTextFile(`${folder}/package/package.json`)),
  );
  await Deno.writeTextFile(
    `${folder}/package.json`,
    JSON.stringify({ type: "module", dependencies }),
  );
  // Which versions there are, Deno may not have kept; the project's lockfile says it.
  await Deno.copyFile(new URL("../deno.lock", HERE), `${folder}/deno.lock`);
  await run(
    Deno.execPath(),
    ["install", "--quiet", "--node-modules-dir=auto", "--cached-only"],
    folder,
  );
  await Deno.mkdir(`${folder}/node_modules/@lotline`);
  await Deno.rename(`${folder}/package`, installed);
  return { folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

Deno.test("the package has the versions of the contract and of deno.json, and runs no scripts", async () => {
  const { version, dependencies } = Package.parse(JSON.parse(await read("package.json")));
  strictEqual(version, parse(await read("../openapi.yaml")).info.version);
  for (const [name, pinned] of Object.entries(dependencies)) {
    strictEqual(
      Object.entries(project.imports).find(([one]) => one === name)?.[1],
      `npm:${name}@${pinned}`,
    );
  }
  const page = await read("README.md");
  const { imported } = await exampleFor("http://127.0.0.1:8000");
  strictEqual(imported.split("\n").filter((line) => line.startsWith("  ")).length, 10);
  const install = `npm install ./lotline-client-${version}.tgz`;
  strictEqual(
    /```\w+\n([^]*?)\n```/.exec(page)?.[1],
    install,
    "the first block is the install line",
  );
});

Deno.test({
  name:
    `the packed package runs the README's lines in Node, and a compiler knows its types${skipped}`,
  ignore: !hasNode,
  fn: async (t) => {
    await using user = await consumer();
    const { folder } = user;
    await t.step("with Node", async () => {
      const { imported, required } = await exampleFor(api.url);
      await Deno.writeTextFile(`${folder}/example.mjs`, imported);
      // A folder of CommonJS, as `npm init` makes it.
      await Deno.mkdir(`${folder}/plain`);
      await Deno.writeTextFile(`${folder}/plain/package.json`, '{"type":"commonjs"}');
      await Deno.writeTextFile(`${folder}/plain/example.js`, required);
      for (const file of ["example.mjs", "plain/example.js"]) {
        const said = (await run("node", [file], folder)).trim().split("\n");
        deepStrictEqual([said[0], said[1], said.at(-1)], ["12.50", "trace", "conflict"], file);
        ok(said.includes("lot") && said.includes("link"), file);
      }
    });
    await t.step(
      "an error that a program prints has the request's id, or address and cause",
      async () => {
        await Deno.writeTextFile(`${folder}/printed.mjs`, PRINTED);
        const [refused = "", unreachable = ""] =
          (await run("node", ["printed.mjs", api.url], folder)).split("---");
        const [, id = ""] = /requestId: '([^']+)'/.exec(refused) ?? [];
        await api.log.find((line) => line.includes(id) && id !== "");
        match(unreachable, /No response from http:\/\/127\.0\.0\.1:1024: connect ECONNREFUSED/);
      },
    );
    // What depends on the platform: a body that is sent again, signals, what can't be reached.
    await t.step("what goes wrong on the way is told and mended in Node as in Deno", async () => {
      await using upstream = await startRawUpstream((socket, request, count) => {
        if (request.startsWith("GET /api/health ")) return;
        if (count === 1) socket.destroy();
        else socket.write(rawResponse("201 Created", '{"lot_code":"A"}'));
      });
      await Deno.writeTextFile(`${folder}/mended.mjs`, MENDED);
      const said = await run("node", ["mended.mjs", upstream.url], folder);
      deepStrictEqual(JSON.parse(said), ["A", "network", "timeout", "mine", "mine"]);
      const [first, second] = upstream.requests.map((request) => request.split("\r\n").sort());
      deepStrictEqual(second, first);
      ok(first?.some((line) => line === '{"lot_code":"A"}'));
      strictEqual(upstream.requests.length, 4);
    });
    await t.step("with types, decimals text", async () => {
      const { imported } = await exampleFor(api.url);
      const typed = imported.replace(
        "  await lotline.logout();\n",
        `const kilograms: string | null = lot.weight_kg;\n` +
          `// @ts-expect-error: no number\nconst number: number = lot.weight_kg;\n` +
          `// @ts-expect-error: no such kind\nif (again.kind === "nope") console.log(kilograms, number);\n`,
      );
      ok(typed.includes("kilograms"));
      await Deno.writeTextFile(
        `${folder}/example.ts`,
        typed.replace(".catch((error) => error)", ".catch((error: LotlineError) => error)")
          .replace("again.kind ===", "again instanceof LotlineError && again.kind ==="),
      );
      await run(Deno.execPath(), ["check", "--quiet", "example.ts"], folder);
    });
  },
});
