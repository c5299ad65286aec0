import { parse } from "yaml";
import { toOpenapi30 } from "../contract/openapi_30.ts";
import type { App } from "../http/operation.ts";

const CONTRACT = new URL("../openapi.yaml", import.meta.url);

/** The page at `/docs` and what it loads: the browser gets the files as they are in the tree. */
const REFERENCE = new URL("../reference/", import.meta.url);
const PROGRAMS = [
  "code_samples.js",
  "contract.js",
  "dom.js",
  "fields.js",
  "operation.js",
  "page.js",
  "response.js",
  "sample_view.js",
  "schema.js",
  "try_it.js",
] as const;

// A plant's network may have no access to the internet.
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** The contract as YAML and JSON, and a page to browse it. */
export const documents = (app: App) => {
  const contract = Deno.readTextFileSync(CONTRACT);
  // Converted at the first request: that takes half as long as the start.
  let inJson: string | undefined;
  let in30: string | undefined;
  const file = (path: string, type: string, content: () => string | Promise<string>) =>
    app.page("documents", path, async (c) =>
      c.body(await content(), 200, {
        "content-type": `${type}; charset=utf-8`,
        "content-security-policy": POLICY,
      }));
  file("/openapi.yaml", "application/yaml", () => contract);
  file("/openapi.json", "application/json", () => inJson ??= JSON.stringify(parse(contract)));
  file(
    "/openapi-3.0.json",
    "application/json",
    () => in30 ??= JSON.stringify(toOpenapi30(parse(contract))),
  );
  const asset = (path: string, type: string, url: URL) =>
    file(path, type, () => Deno.readTextFile(url));
  asset("/docs", "text/html", new URL("page.html", REFERENCE));
  asset("/docs/style.css", "text/css", new URL("style.css", REFERENCE));
  for (const name of PROGRAMS) asset(`/docs/${name}`, "text/javascript", new URL(name, REFERENCE));
  asset("/docs/marked.js", "text/javascript", new URL(import.meta.resolve("marked")));
};
