import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { allowHeader, pathnameOf, PathTable, queryOf } from "./paths.ts";

const paths = new PathTable<string>();
paths.add("GET", "/api/health", "getHealth");
paths.add("POST", "/api/lots", "createLot");
paths.add("GET", "/api/traceability/:lotCode", "getTraceability");
paths.add("GET", "/Lots/:lotCode/links/:linkId", "getLink");

const HEALTH = "/api/health";
const TRACE = "/api/traceability/:lotCode";

const FOUND: [pathname: string, template: string, parameters?: Record<string, string>][] = [
  ["/api/health", HEALTH],
  ["/api/health/", HEALTH],
  ["/API/Health", HEALTH],
  ["/aPI/HEALTH/", HEALTH],
  ["/api/traceability/RAW-1", TRACE, { lotCode: "RAW-1" }],
  ["/api/traceability/RAW-1/", TRACE, { lotCode: "RAW-1" }],
  ["/API/TRACEABILITY/raw-1", TRACE, { lotCode: "raw-1" }],
  ["/api/traceability/a%2Fb", TRACE, { lotCode: "a%2Fb" }],
  ["/api/traceability/%zz", TRACE, { lotCode: "%zz" }],
  ["/api/traceability/.", TRACE, { lotCode: "." }],
  ["/api/traceability/..", TRACE, { lotCode: ".." }],
  ["/api/traceability/%2e%2e", TRACE, { lotCode: "%2e%2e" }],
  ["/api/traceability/:lotCode", TRACE, { lotCode: ":lotCode" }],
  ["/api/traceability/a;b=c", TRACE, { lotCode: "a;b=c" }],
  ["/api/traceability/$&", TRACE, { lotCode: "$&" }],
  ["/lots/A/LINKS/B/", "/Lots/:lotCode/links/:linkId", { lotCode: "A", linkId: "B" }],
];

for (const [pathname, template, parameters = {}] of FOUND) {
  Deno.test(`the path ${pathname} means ${template}`, () => {
    const found = paths.find(pathname);
    deepStrictEqual([found?.template, found?.parameters], [template, parameters]);
  });
}

const UNKNOWN = [
  "/api/health//",
  "//api/health",
  "/api//health",
  "/api/health/x",
  "/api/%68ealth",
  "/api/health%2F",
  "/api/./health",
  "/api/x/../health",
  "/api/health ",
  "/api",
  "/api/",
  "/",
  "//",
  "",
  "*",
  "/api/traceability",
  "/api/traceability/",
  "/api/traceability//",
  "/api/traceability/a//",
  "/api/traceability/a/b",
  "/x/api/traceability/a",
  "/constructor",
  "/__proto__",
];

for (const pathname of UNKNOWN) {
  Deno.test(`the path "${pathname}" is not one of ours`, () => {
    strictEqual(paths.find(pathname), undefined);
  });
}

Deno.test("methods that are added to a path in any case belong to that path", () => {
  const table = new PathTable<string>();
  table.add("GET", "/lots", "list");
  table.add("POST", "/LOTS", "create");
  table.add("GET", "/lots/:id", "get");
  table.add("DELETE", "/lots/:id", "remove");
  deepStrictEqual([...table.find("/lots")?.methods ?? []], [["GET", "list"], ["POST", "create"]]);
  deepStrictEqual([...table.find("/lots/1")?.methods ?? []], [["GET", "get"], [
    "DELETE",
    "remove",
  ]]);
});

const ADDRESSES: [url: string, pathname: string][] = [
  ["http://localhost:8000/api/health", "/api/health"],
  ["http://localhost:8000/api/health?x=/y", "/api/health"],
  ["http://localhost/a#b", "/a"],
  ["http://localhost/a?b#c?d", "/a"],
  ["http://localhost/%2F/%zz/../é", "/%2F/%zz/../é"],
  ["http://localhost//api//health", "//api//health"],
  ["http://localhost/", "/"],
  ["http://localhost", "/"],
  ["http://localhost?/api/health", "/"],
  ["http://localhost#/api/health", "/"],
];

for (const [url, pathname] of ADDRESSES) {
  Deno.test(`the path of ${url} is ${pathname}, as the client wrote it`, () => {
    strictEqual(pathnameOf(url), pathname);
  });
}

Deno.test("the query of an address is the part after its question mark, as the client wrote it", () => {
  strictEqual(queryOf("http://localhost/a?limit=%zz&b?c#d?e"), "?limit=%zz&b?c");
  strictEqual(queryOf("http://localhost/a?"), "?");
  strictEqual(queryOf("http://localhost/a#b?c"), "");
});

Deno.test("Allow lists a path's methods, HEAD where GET is one, OPTIONS always", () => {
  strictEqual(allowHeader(new Set(["GET"])), "GET, HEAD, OPTIONS");
  strictEqual(allowHeader(new Set(["POST"])), "OPTIONS, POST");
  strictEqual(allowHeader(new Set(["POST", "GET"])), "GET, HEAD, OPTIONS, POST");
});
