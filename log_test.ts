import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { freePort } from "./dev/free_port.ts";
import { createLog, describeError, type LogLevel } from "./log.ts";
import { startApi, type TestApi } from "./testing/api.ts";
import { apiOnSeed } from "./testing/api_on_seed.ts";

const LEVELS: LogLevel[] = ["debug", "info", "warn", "error"];

/** The written text, in the pieces of each write. */
function startLog(level: LogLevel) {
  const written: string[] = [];
  const { log, flush } = createLog(level, (text) => written.push(text));
  return { log, flush, written };
}

for (const [min, level] of LEVELS.entries()) {
  Deno.test(`level ${level} shows ${LEVELS.slice(min).join(", ")} and nothing else`, () => {
    const { log, flush, written } = startLog(level);
    for (const each of LEVELS) log(each, "something");
    flush();
    const shown = written.join("").trimEnd().split("\n").map((line) => JSON.parse(line).level);
    deepStrictEqual(shown, LEVELS.slice(min));
  });
}

Deno.test("a line is one JSON object: UTC time, level, event, then the fields in their order", () => {
  const { log, flush, written } = startLog("info");
  log("warn", "something", { b: 'x"\n', a: 1, gone: undefined, yes: true, odd: NaN });
  flush();
  const [line = "", rest] = written.join("").split("\n");
  strictEqual(rest, "");
  match(line, /^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","level":"warn",/);
  const { time: _now, ...said } = JSON.parse(line);
  deepStrictEqual(Object.entries(said), [
    ["level", "warn"],
    ["event", "something"],
    ["b", 'x"\n'],
    ["a", 1],
    ["yes", true],
    ["odd", null],
  ]);
});

Deno.test("lines wait for a moment and are written together", async () => {
  const written = Promise.withResolvers<string>();
  const { log } = createLog("info", written.resolve);
  for (const event of ["one", "two", "three"] as const) log("info", event);
  deepStrictEqual((await written.promise).match(/one|two|three/g), ["one", "two", "three"]);
});

Deno.test("an error is written immediately, after the lines before it", () => {
  const { log, flush, written } = startLog("info");
  log("info", "before");
  deepStrictEqual(written, []);
  log("error", "broken");
  deepStrictEqual(written.length, 1);
  match(written[0] ?? "", /before.*\n.*broken/);
  flush();
  strictEqual(written.length, 1, "nothing is written twice, and nothing empty");
});

Deno.test("an error is described with its code, its stack, and its causes", () => {
  const cause = Object.assign(new Error("no route"), { code: "EHOSTUNREACH" });
  const text = describeError(new TypeError("outer", { cause }));
  match(
    text,
    /^TypeError: outer at log_test\.ts:\d+:\d+ <- Error \[EHOSTUNREACH\]: no route at log_test\.ts:/,
  );
  ok(!text.includes("\n"));
});

Deno.test("of the stack a line has our own files alone, and a long message is cut", async () => {
  const failed = await readFile("no such file").catch((error: unknown) => error);
  match(describeError(failed), /^[^\n]{10,600}$/);
  ok(!/node:|npm|file:|ext:/.test(describeError(failed)), describeError(failed));
  const long = describeError(new Error(`first\nsecond ${"x".repeat(9_000)}`));
  match(long, /^Error: first second x{400,} at log_test\.ts:\d+:\d+$/);
  ok(long.length < 600);
});

Deno.test("a thrown value that is no error is described too, and a circle of causes ends", () => {
  strictEqual(describeError("text"), "text");
  strictEqual(describeError(null), "null");
  const circle = new Error("again");
  circle.cause = circle;
  strictEqual(describeError(circle).split(" <- ").length, 5);
});

Deno.test("an error that nothing catches ends the process with one line in the log", async () => {
  for (const uncaught of ["throw error", "Promise.reject(error)"]) {
    const source = `
      import { createLog } from "${new URL("./log.ts", import.meta.url)}";
      import { endOnUncaught } from "${new URL("./uncaught_errors.ts", import.meta.url)}";
      endOnUncaught(createLog("info").log);
      const error = new TypeError("odd");
      setTimeout(() => { ${uncaught}; });
      setTimeout(() => console.log("it goes on"), 5_000);`;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", source],
    }).output();
    const text = new TextDecoder();
    strictEqual(text.decode(stderr), "");
    const { level, event, error } = JSON.parse(text.decode(stdout));
    deepStrictEqual([code, level, event], [1, "error", "uncaught_error"]);
    match(error, /^TypeError: odd( at |$)/);
  }
});

/** The log line of the request with this id. */
async function lineOf(api: TestApi, id: string): Promise<Record<string, unknown>> {
  return JSON.parse(await api.log.find((line) => line.includes(`"request_id":"${id}"`)));
}

const { api } = await apiOnSeed();

/** The fields of each line; `required_would_refuse` follows them where there is a reason. */
const FIELDS = ["time", "level", "event", "method", "route", "status", "ms", "request_id"];

/** AUTH_MODE=required would need a better token than the requests below have. */
const GUARDED = ["/api/traceability/:lotCode", "/api/lots", "/api/qc-decisions"];

const REQUESTS: [method: string, path: string, body: unknown, route: string, status: number][] = [
  ["GET", "/api/health?token=SECRET", undefined, "/api/health", 200],
  ["POST", "/API/Login/", { email: "SECRET@plant" }, "/api/login", 401],
  ["POST", "/api/login", "SECRET", "/api/login", 400],
  ["GET", "/api/traceability/SECRET?q=SECRET", undefined, "/api/traceability/:lotCode", 404],
  ["POST", "/api/lots", { lot_code: "SECRET", metadata: { a: "SECRET" } }, "/api/lots", 201],
  ["POST", "/api/lots", { lot_code: "SECRET" }, "/api/lots", 409],
  ["POST", "/api/lots", { SECRET: 1 }, "/api/lots", 422],
  ["POST", "/api/qc-decisions", { notes: "SECRET" }, "/api/qc-decisions", 201],
  ["DELETE", "/api/lots", undefined, "/api/lots", 405],
  ["OPTIONS", "/SECRET", undefined, "unknown", 204],
  ["GET", "/SECRET/SECRET", undefined, "unknown", 404],
];

Deno.test("a request is one line: method, route, status, ms, id, and no text from the client", async () => {
  for (const [i, [method, path, body, route, status]] of REQUESTS.entries()) {
    const id = `one-line-${i}.`;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await api.send(path, {
      method,
      headers: {
        "x-request-id": id,
        authorization: "Bearer SECRET",
        "content-type": "application/json",
        "user-agent": "SECRET",
      },
      ...(text !== undefined && { body: text }),
    });
    strictEqual(response.headers.get("x-request-id"), id);
    const line = await lineOf(api, id);
    const { required_would_refuse, bad_token, refused, ...rest } = line;
    deepStrictEqual(Object.keys(rest), FIELDS);
    strictEqual(refused, status === 401 ? "user_not_found" : undefined);
    const isGuarded = GUARDED.includes(route) && status !== 405;
    strictEqual(required_would_refuse, isGuarded ? "bad_token" : undefined);
    strictEqual(bad_token, isGuarded ? "malformed" : undefined);
    const { level, event, ms } = line;
    deepStrictEqual([level, event, line.method, line.route, line.status], [
      "info",
      "request",
      method,
      route,
      status,
    ]);
    ok(typeof ms === "number" && ms >= 0);
    strictEqual(api.log.lines.filter((other) => other.includes(id)).length, 1);
  }
  for (const line of api.log.lines) ok(!/secret|@/i.test(line), line);
});

Deno.test("an account's email and name, found or not, are in no line", async () => {
  const response = await api.post("/api/login", { email: "admin@flowviz.com" }, {
    "x-request-id": "login-line",
  });
  await lineOf(api, "login-line");
  const { email, full_name, id } = response.json.user;
  for (const secret of [email, full_name, id, response.json.token]) {
    for (const line of api.log.lines) ok(!line.includes(secret), line);
  }
});

Deno.test("an id that could spoil the log is replaced by one of ours in the response", async () => {
  for (const id of ["", "a b", 'a"b', "a/b", "ÿ", "x".repeat(65)]) {
    const response = await api.get("/api/health", { "x-request-id": id });
    const ours = response.headers.get("x-request-id") ?? "";
    match(ours, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    strictEqual((await lineOf(api, ours)).status, 200);
  }
});

Deno.test("a fault's line is an error and has its cause; the address's password is nowhere", async () => {
  await using away = await startApi({
    databaseUrl: `postgres://lotline:hunter2@127.0.0.1:${freePort()}/plant`,
  });
  const response = await away.get("/api/traceability/A-1", { "x-request-id": "fault" });
  strictEqual(response.status, 503);
  const line = await lineOf(away, "fault");
  deepStrictEqual(Object.keys(line), [...FIELDS, "required_would_refuse", "problem", "error"]);
  deepStrictEqual([line.level, line.status, line.problem], ["error", 503, "unreachable"]);
  match(String(line.error), /ECONNREFUSED.* at /);
  for (const each of away.log.lines) ok(!/hunter2|A-1/.test(each), each);
});
