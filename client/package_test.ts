import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { publint } from "publint";
import { parse } from "yaml";
import project from "../deno.json" with { type: "json" };
import { apiOnSeed } from "../testing/api_on_seed.ts";
import {
  ClientPackage,
  installClient,
  nodeVersion,
  runProgram as run,
} from "../testing/client_package.ts";
import { rawResponse, startRawUpstream } from "../testing/raw_upstream.ts";
import { startWorker } from "../testing/worker.ts";

/* The package as npm would publish it, used from Node; editor_test.ts has its types. */

const { api, databaseUrl } = await apiOnSeed();

const HERE = new URL("./", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, HERE));

const hasNode = await nodeVersion() >= 20;
const skipped = hasNode ? "" : " (skipped: there is no Node 20 or later with npm on this machine)";

const REPEATED = `
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

/** How many bytes a program has, minified with all that it imports, as a web server sends it. */
async function bundledSize(folder: string, program: string): Promise<number> {
  await Deno.writeTextFile(`${folder}/program.js`, program);
  const args = ["bundle", "--quiet", "--minify", "--platform=browser", "program.js"];
  return await gzippedSize(await run(Deno.execPath(), args, folder));
}

async function gzippedSize(text: string): Promise<number> {
  const compressed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(compressed).bytes()).length;
}

/** The README's example, for this address; `required` is the one with its first line of CommonJS. */
async function exampleFor(url: string): Promise<{ imported: string; required: string }> {
  const page = await read("README.md");
  const [, block = ""] = /```js\n([^]*?)```/.exec(page) ?? [];
  const [, firstLine = ""] = /replace the first line by\s+`(const [^`]*)`/.exec(page) ?? [];
  ok(block.includes("http://127.0.0.1:8000") && firstLine !== "");
  const imported = block.replace("http://127.0.0.1:8000", url);
  return { imported, required: imported.replace(/^import .*/, firstLine) };
}

Deno.test("the package has the versions of the contract and of deno.json, and runs no scripts", async () => {
  const { version, dependencies } = ClientPackage.parse(JSON.parse(await read("package.json")));
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
  name: `the packed package runs the README's lines in Node, and is well formed${skipped}`,
  ignore: !hasNode,
  fn: async (t) => {
    await using consumer = await installClient();
    const { folder, installed, archive } = consumer;
    await t.step("with Node", async () => {
      // A trace that takes more than 200 ms is left to it.
      await using _worker = await startWorker({ databaseUrl });
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
    await t.step("Node repeats requests and reports failures as Deno does", async () => {
      await using upstream = await startRawUpstream((socket, request, count) => {
        if (request.startsWith("GET /api/health ")) return;
        if (count === 1) socket.destroy();
        else socket.write(rawResponse("201 Created", '{"lot_code":"A"}'));
      });
      await Deno.writeTextFile(`${folder}/repeated.mjs`, REPEATED);
      const said = await run("node", ["repeated.mjs", upstream.url], folder);
      deepStrictEqual(JSON.parse(said), ["A", "network", "timeout", "mine", "mine"]);
      const [first, second] = upstream.requests.map((request) => request.split("\r\n").sort());
      deepStrictEqual(second, first);
      ok(first?.some((line) => line === '{"lot_code":"A"}'));
      strictEqual(upstream.requests.length, 4);
    });
    await t.step("publint and attw find nothing in what is published", async () => {
      const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
      deepStrictEqual(messages, []);
      const types = await checkPackage(createPackageFromTarballData(archive));
      deepStrictEqual(types.types && types.problems, []);
    });
    await t.step("a page's bundle has less than 8 kB, and only what it uses", async () => {
      const file = await Deno.readTextFile(`${installed}/dist/client.min.js`);
      const client = 'import { createClient } from "@lotline/client"; console.log(createClient);';
      const error = 'import { LotlineError } from "@lotline/client"; console.log(LotlineError);';
      const sizes = [await gzippedSize(file), await bundledSize(folder, client)];
      ok(sizes.every((size) => size > 4_000 && size < 8_000), `${sizes} bytes`);
      ok(await bundledSize(folder, error) < 1_000);
      // Neither from Node nor from elsewhere: a page loads the file as it is.
      match(file, /^\/\*! @lotline\/client .*openapi-fetch/);
      ok(!/\bimport\b|\brequire\b|node:/.test(file));
    });
  },
});
