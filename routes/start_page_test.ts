import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { startApi, type TestApi } from "../testing/api.ts";
import { apiInBothModes } from "../testing/both_modes.ts";
import { apiWithoutDatabase } from "../testing/api_without_database.ts";

const { legacy, required } = await apiInBothModes();
const withoutDatabase = await apiWithoutDatabase();

const BROWSER = {
  accept: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
};

const linksOf = (page: string) =>
  [...page.matchAll(/<a href="([^"]*)"/g)].map(([, path = ""]) => path);

const LINKS = ["/docs", "/openapi.yaml", "/openapi-3.0.json", "/api/health", "/readyz"];
const DEMO = ["/api/traceability/MIX-BATCH-88", "/api/traceability/FG-DONER-X1"];

async function pageOf(api: TestApi): Promise<string> {
  const { status, headers, text } = await api.get("/", BROWSER);
  deepStrictEqual([status, headers.get("content-type")], [200, "text/html; charset=utf-8"]);
  match(headers.get("vary") ?? "", /^Accept\b/);
  return text;
}

Deno.test("a browser gets a page whose links all lead somewhere, demo lots among them", async () => {
  const links = linksOf(await pageOf(legacy));
  for (const path of [...LINKS, ...DEMO]) ok(links.includes(path), path);
  for (const path of links) strictEqual((await legacy.get(path, BROWSER)).status, 200, path);
});

Deno.test("no demo lots are shown where they need a token, and none on a plant without them", async () => {
  deepStrictEqual(linksOf(await pageOf(required)), LINKS);
  await using plant = await startApi();
  deepStrictEqual(linksOf(await pageOf(plant)), LINKS);
  doesNotMatch(await pageOf(plant), /[Dd]emo/);
});

Deno.test("the page comes without the database", async () => {
  deepStrictEqual(linksOf(await pageOf(withoutDatabase)), LINKS);
});

Deno.test("a program finds nothing at the path, and learns where the contract is", async () => {
  const nothing = { error: "There is nothing at this path: /openapi.yaml lists all paths" };
  for (const accept of ["*/*", "application/json", "application/json, text/plain, */*", ""]) {
    const { status, json } = await legacy.get("/", { accept });
    deepStrictEqual([status, json], [404, nothing], accept);
  }
  for (const method of ["POST", "PUT", "DELETE"]) {
    const { status, json, headers } = await legacy.send("/", { method, headers: BROWSER });
    deepStrictEqual([status, json, headers.get("allow")], [404, nothing, null], method);
  }
});

Deno.test("HEAD has the page's length and no body", async () => {
  const { status, text, headers } = await legacy.send("/", { method: "HEAD", headers: BROWSER });
  const length = new TextEncoder().encode(await pageOf(legacy)).length;
  deepStrictEqual([status, text, headers.get("content-length")], [200, "", String(length)]);
});

Deno.test("the page runs and loads nothing, and its one style is named by its hash", async () => {
  const { headers, text } = await legacy.get("/", BROWSER);
  const [, style = ""] = /<style>([^]*?)<\/style>/.exec(text) ?? [];
  const hash = createHash("sha256").update(style).digest("base64");
  strictEqual(
    headers.get("content-security-policy"),
    `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; ` +
      "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  );
  ok(!text.includes("://") && !text.includes("<script") && !/ (?:style|on\w+)=/.test(text));
});

Deno.test("the page has a language, a title, one heading and a main part", async () => {
  const page = await pageOf(legacy);
  match(page, /<html lang="en">/);
  match(page, /<title>Lotline<\/title>/);
  strictEqual(page.match(/<h1>/g)?.length, 1);
  match(page, /<main>/);
  match(page, /color-scheme: light dark/);
});
