import absolutePath from "swagger-ui-dist/absolute-path.js";
import { parse } from "yaml";
import { toOpenapi30 } from "../contract/openapi_30.ts";
import type { App } from "../http/operation.ts";

const CONTRACT = new URL("../openapi.yaml", import.meta.url);

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>Lotline API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <div id="contract"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const START = `SwaggerUIBundle({ url: "/openapi.yaml", dom_id: "#contract", deepLinking: true });
`;

// A plant's network may have no access to the internet.
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

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
  file("/docs", "text/html", () => PAGE);
  file("/docs/start.js", "text/javascript", () => START);
  file("/docs/swagger-ui.css", "text/css", () => asset("swagger-ui.css"));
  file("/docs/swagger-ui-bundle.js", "text/javascript", () => asset("swagger-ui-bundle.js"));
};

function asset(name: string): Promise<string> {
  return Deno.readTextFile(`${absolutePath()}/${name}`);
}
