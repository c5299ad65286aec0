import { deepStrictEqual, throws } from "node:assert/strict";
import { loadRecordings } from "./recordings.ts";
import { parseRequestList } from "./request_list.ts";

Deno.test("a list has one request a line, in words or as JSON; empty lines and comments are ignored", () => {
  const list = [
    "# what the terminals ask for",
    "GET /api/health",
    "",
    '  {"method": "POST", "path": "/api/login", "headers": {"a": "b"}, "body": "{}"}',
    "HEAD   /api/traceability/RAW-1?x=1",
  ].join("\r\n");
  deepStrictEqual(parseRequestList(list), [
    {
      name: "line 2",
      steps: [{ request: { method: "GET", path: "/api/health", headers: {} } }],
    },
    {
      name: "line 4",
      steps: [
        { request: { method: "POST", path: "/api/login", headers: { a: "b" }, body: "{}" } },
      ],
    },
    {
      name: "line 5",
      steps: [{ request: { method: "HEAD", path: "/api/traceability/RAW-1?x=1", headers: {} } }],
    },
  ]);
});

Deno.test("recordings are a list as well: their scenarios, without the responses", async () => {
  const file = new URL("./recordings.json", import.meta.url);
  const { scenarios } = await loadRecordings();
  deepStrictEqual(
    parseRequestList(await Deno.readTextFile(file)).map(({ name, steps }) => ({
      name,
      requests: steps.map(({ request }) => request),
    })),
    scenarios.map(({ name, steps }) => ({ name, requests: steps.map(({ request }) => request) })),
  );
});

const BROKEN: [what: string, list: string, message: RegExp][] = [
  ["nothing in it", "\n# nothing\n", /no request/],
  ["a word too many", "GET /api/health\nGET /a b", /^Error: Line 2 /],
  ["a method in small letters", "get /api/health", /Line 1 /],
  ["a path without its slash", "GET api/health", /Line 1 /],
  ["a whole address", "GET http://plant.example/", /Line 1 /],
  ["JSON that breaks off", '{"method":', /Line 1 /],
  ["JSON with another field", '{"method":"GET","path":"/","url":"/"}', /Line 1 /],
  ["JSON with a line end in the path", '{"method":"GET","path":"/a\\r\\nb"}', /Line 1 /],
  ["recordings with another form", '{"scenarios":[]}', /form of recordings/],
  ["too many requests", "GET /\n".repeat(10_001), /more than 10000/],
];

for (const [what, list, message] of BROKEN) {
  Deno.test(`a list with ${what} is refused`, () => {
    throws(() => parseRequestList(list), message);
  });
}
