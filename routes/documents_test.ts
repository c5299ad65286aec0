import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { parse } from "yaml";
import { toOpenapi30 } from "../contract/openapi_30.ts";
import { apiWithoutDatabase } from "../testing/api_without_database.ts";

const api = await apiWithoutDatabase();
const contract = await Deno.readTextFile(new URL("../openapi.yaml", import.meta.url));

Deno.test("the published contract is the file openapi.yaml, byte for byte", async () => {
  const response = await api.get("/openapi.yaml");
  deepStrictEqual(
    [response.status, response.headers.get("content-type")],
    [200, "application/yaml; charset=utf-8"],
  );
  strictEqual(response.text, contract);
});

Deno.test("the contract as JSON is the same document", async () => {
  const response = await api.get("/openapi.json");
  deepStrictEqual(
    [response.status, response.headers.get("content-type")],
    [200, "application/json; charset=utf-8"],
  );
  deepStrictEqual(response.json, parse(contract));
});

Deno.test("the contract for tools that read only OpenAPI 3.0 is converted from it", async () => {
  const response = await api.get("/openapi-3.0.json");
  deepStrictEqual(
    [response.status, response.headers.get("content-type")],
    [200, "application/json; charset=utf-8"],
  );
  deepStrictEqual(response.json, toOpenapi30(parse(contract)));
});

/** What the page makes the browser load, with the modules that its programs import. */
async function listAssets(): Promise<string[]> {
  const { text } = await api.get("/docs");
  const paths = new Set(
    [...text.matchAll(/(?:src|href)="(\/docs[^"]*)"/g)].map(([, path = ""]) => path),
  );
  for (const path of paths) {
    const { text } = await api.get(path);
    for (const [, name = ""] of text.matchAll(/^import .* from "\.\/([\w.]+)";$/gm)) {
      paths.add(`/docs/${name}`);
    }
  }
  return [...paths];
}

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

Deno.test("the page loads its styles and programs from this server, and they exist", async () => {
  const page = await api.get("/docs");
  strictEqual(page.headers.get("content-type"), "text/html; charset=utf-8");
  ok(!page.text.includes("://"), "no address of another server");
  ok(!/<script>|<script [^>]*>[^<]/.test(page.text), "the policy lets no inline program run");
  const assets = await listAssets();
  deepStrictEqual(assets.slice(0, 3), ["/docs/style.css", "/docs/marked.js", "/docs/page.js"]);
  for (const path of assets) {
    match(path, /^\/docs\//);
    const asset = await api.get(path);
    const type = TYPES[path.split(".").at(-1) ?? ""];
    deepStrictEqual([asset.status, asset.headers.get("content-type")], [200, type], path);
    ok(asset.text.length > 0);
  }
});

Deno.test("each program that the server offers is one that the page loads", async () => {
  const loaded = await listAssets();
  for await (const { name } of Deno.readDir(new URL("../reference/", import.meta.url))) {
    if (name.endsWith(".js")) ok(loaded.includes(`/docs/${name}`), name);
  }
});

Deno.test("the policy lets the page load nothing from another server", async () => {
  for (const path of ["/docs", "/openapi.yaml", "/openapi.json", ...await listAssets()]) {
    const policy = (await api.get(path)).headers.get("content-security-policy") ?? "";
    const directives = new Map(
      policy.split("; ").map((directive) => {
        const [name = "", ...sources] = directive.split(" ");
        return [name, sources];
      }),
    );
    deepStrictEqual(directives.get("default-src"), ["'none'"], path);
    deepStrictEqual(directives.get("script-src"), ["'self'"], path);
    deepStrictEqual(directives.get("style-src"), ["'self'"], path);
    deepStrictEqual(directives.get("connect-src"), ["'self'"], path);
    for (const sources of directives.values()) {
      for (const source of sources) ok(/^('none'|'self'|data:)$/.test(source));
    }
  }
});

Deno.test("no other file of the package or of the project can be read", async () => {
  const paths = [
    "/docs/package.json",
    "/docs/page_test.ts",
    "/docs/page.html",
    "/docs/%2e%2e/config.ts",
    "/docs/..%2fconfig.ts",
    "/main.ts",
    "/deno.json",
  ];
  for (const path of paths) strictEqual((await api.get(path)).status, 404, path);
});

Deno.test("no package in the tree sends telemetry", async () => {
  const lockfile = await Deno.readTextFile(new URL("../deno.lock", import.meta.url));
  // Behind a version may be those of what it was installed beside.
  const packages = new Set(
    Object.keys(JSON.parse(lockfile).npm).map((name) => name.replace(/(?<=.)@.*$/, "")),
  );
  ok(packages.size > 100);
  const suspects = [...packages].filter((name) =>
    /scarf|telemetry|analytics|posthog|sentry|amplitude|segment/.test(name)
  );
  // Interfaces without a sender: telemetry/tracing.ts uses them, and prom-client.
  deepStrictEqual(suspects, ["@opentelemetry/api"]);
});
