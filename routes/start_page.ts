import { createHash } from "node:crypto";
import { listExistingCodes } from "../db/lots.ts";
import type { App } from "../http/operation.ts";
import { withDeadline } from "../timing.ts";
import type { RouteDeps } from "./deps.ts";

/** Of the demo plant (dev/demo_plant.ts). */
const DEMO_LOTS = [
  { code: "RAW-BEEF-001", says: "Received beef." },
  { code: "MIX-BATCH-88", says: "A mixed batch: it has parents and a child." },
  { code: "FG-DONER-X1", says: "A finished good." },
] as const;
/** Hits within this time share one statement, in ms. */
const DEMO_LOTS_FOR_MS = 60_000;
const DATABASE_TIMEOUT_MS = 1_000;

const STYLE = `
:root { color-scheme: light dark; }
body {
  max-width: 40rem; margin: 0 auto; padding: 2.5rem 1.25rem;
  font: 1.0625rem/1.55 system-ui, sans-serif;
}
h1 { margin: 0 0 .5rem; line-height: 1.2; }
h2 { margin: 2.25rem 0 .5rem; font-size: 1.2rem; }
dl { margin: 0; }
dt { margin-top: .9rem; font-weight: 600; }
dd { margin: 0; }
a { text-underline-offset: .15em; }
code { font-size: .95em; font-weight: 400; overflow-wrap: anywhere; }
`;

// No program, no file of another server: the page runs nothing and loads nothing.
const POLICY = `default-src 'none'; style-src '${hashOf(STYLE)}'; img-src data:; ` +
  "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const LINKS: readonly Link[] = [
  ["/docs", "Reference", "Every operation with examples that you can send from the page."],
  ["/openapi.yaml", "Contract", "The same as OpenAPI 3.1, for programs and code generators."],
  ["/openapi-3.0.json", "Contract, 3.0", "For tools that don't read OpenAPI 3.1 yet."],
  ["/api/health", "Health", "Whether this server is up."],
  ["/readyz", "Readiness", "Whether it can work: database, tables, cache."],
];

type Link = readonly [path: string, name: string, says: string];

/** Shows people with a browser where everything is. Programs get 404, as on the old server. */
export const startPage = (app: App, { sql, mode }: Pick<RouteDeps, "sql" | "mode">) => {
  let known: { readonly at: number; readonly codes: Promise<string[]> } | undefined;
  const findDemoLots = () => {
    // With AUTH_MODE=required a link without a token would lead to 401.
    if (mode === "required") return [];
    if (known === undefined || performance.now() - known.at > DEMO_LOTS_FOR_MS) {
      const codes = listExistingCodes(sql, DEMO_LOTS.map(({ code }) => code));
      const found = withDeadline(codes, DATABASE_TIMEOUT_MS, () => []).catch(() => []);
      known = { at: performance.now(), codes: found };
    }
    return known.codes;
  };
  app.browserPage("documents", "/", async (c) =>
    c.body(pageWith(await findDemoLots()), 200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": POLICY,
      vary: "Accept",
    }));
};

function pageWith(demoLots: readonly string[]): string {
  const lots = DEMO_LOTS.filter(({ code }) => demoLots.includes(code))
    .map(({ code, says }): Link => [`/api/traceability/${code}`, code, says]);
  const demo = lots.length === 0 ? "" : `
    <h2>Demo lots</h2>
    <p>
      This server has the demo plant: a week of invented production. Each link shows a lot, what it
      was made of, and what was made of it.
    </p>
    ${listOf(lots)}`;
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Lotline</title>
    <link rel="icon" href="data:,">
    <style>${STYLE}</style>
  </head>
  <body>
    <main>
    <h1>Lotline</h1>
    <p>
      The lot-traceability service of a food plant: where the material of a batch came from, and
      where it went. Terminals and front ends use it over HTTP; this page shows where things are.
    </p>
    ${listOf(LINKS)}${demo}
    </main>
  </body>
</html>
`;
}

function listOf(links: readonly Link[]): string {
  const rows = links.map(([path, name, says]) =>
    `<dt><a href="${path}">${name}</a> <code>${path}</code></dt><dd>${says}</dd>`
  );
  return `<dl>\n      ${rows.join("\n      ")}\n    </dl>`;
}

/** A source expression of Content Security Policy Level 3, 2.3.1. */
function hashOf(content: string): string {
  return `sha256-${createHash("sha256").update(content).digest("base64")}`;
}
