import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import net from "node:net";
import { toApiError } from "../errors.ts";
import { freePort } from "../dev/free_port.ts";
import { freshDatabase } from "../testing/database.ts";
import { listen } from "../testing/test_server.ts";
import { LinkError, type ProblemKind } from "./link_error.ts";
import { isResponse } from "./pg_errors.ts";
import { problem, PROBLEM_KINDS, problemOf } from "./problems.ts";
import { openSession } from "./session.ts";

const withCode = (code: string, message = code, options?: ErrorOptions) =>
  Object.assign(new Error(message, options), { code });

const BY_CODE: readonly [code: string, message: string, kind: ProblemKind | undefined][] = [
  ["ECONNREFUSED", "", "unreachable"],
  ["ECONNRESET", "read ECONNRESET", "unreachable"],
  [
    "ECONNRESET",
    "Client network socket disconnected before secure TLS connection was established",
    "tls_failed",
  ],
  ["ENOTFOUND", "", "unreachable"],
  ["08006", "", "unreachable"],
  ["CONNECT_TIMEOUT", "", "silent"],
  ["QUERY_DEADLINE", "", "silent"],
  ["28P01", "", "refused_login"],
  ["28000", 'role "nobody" does not exist', "refused_login"],
  ["28000", 'no pg_hba.conf entry for host "::1", no encryption', "encryption_required"],
  ["28000", 'pg_hba.conf rejects connection for host "::1", no encryption', "refused_login"],
  ["28000", "connection requires a valid client certificate", "tls_client_key"],
  ["3D000", "", "no_database"],
  ["42501", "", "no_right"],
  ["53100", "", "disk_full"],
  ["53300", "", "too_many"],
  ["57P01", "", "stopping"],
  ["57P03", "the database system is starting up", "starting"],
  ["57P03", "the database system is shutting down", "stopping"],
  ["25006", "", "read_only"],
  ["42P01", "", "schema_missing"],
  ["3F000", "", "schema_missing"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "", "tls_untrusted"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "", "tls_untrusted"],
  ["CERT_HAS_EXPIRED", "", "tls_expired"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "", "tls_name"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "", "tls_failed"],
  ["LINK_FAILED", "", "unreachable"],
  // A statement's own: other requests may succeed.
  ["57014", "", undefined],
  ["55P03", "", undefined],
  ["40001", "", undefined],
  ["42704", "", undefined],
  ["23505", "", undefined],
  ["ENOENT", "", undefined],
];

for (const [code, message, kind] of BY_CODE) {
  Deno.test(`${code} ${message} is ${kind ?? "no problem of the database"}`, () => {
    strictEqual(problemOf(withCode(code, message))?.kind, kind);
  });
}

Deno.test("a problem is found behind other errors, and a link's error has its own kind", () => {
  const link = new LinkError("tls_name", "the certificate is plant.example's");
  strictEqual(problemOf(link)?.kind, "tls_name");
  strictEqual(problemOf(new Error("around", { cause: link }))?.kind, "tls_name");
  strictEqual(toApiError(link).problem, "tls_name");
  strictEqual(problemOf(new AggregateError([withCode("ECONNREFUSED"), link]))?.kind, "unreachable");
  const circle = new Error("circle");
  circle.cause = circle;
  for (const other of [circle, new AggregateError([]), "28P01", { code: "28P01" }, undefined]) {
    strictEqual(problemOf(other), undefined);
  }
});

/** What a pooler or another server sends in place of a login, as fields of an error. */
const REFUSALS: readonly [fields: Record<string, string>, kind: ProblemKind][] = [
  [
    {
      S: "FATAL",
      V: "FATAL",
      C: "42704",
      M: 'unrecognized configuration parameter "idle_session_timeout"',
    },
    "old_server",
  ],
  // PgBouncer has no field V.
  [{ S: "FATAL", C: "08P01", M: "no such database: plant" }, "no_database"],
  [{ S: "FATAL", C: "08P01", M: "password authentication failed" }, "refused_login"],
  [{ S: "FATAL", C: "08P01", M: "SASL authentication failed" }, "refused_login"],
  [
    { S: "FATAL", C: "08P01", M: "unsupported startup parameter: lock_timeout" },
    "pooler_parameter",
  ],
  [{ S: "FATAL", C: "08P01", M: "no more connections allowed (max_client_conn)" }, "too_many"],
  [{ S: "FATAL", C: "08P01", M: "server login has been failing" }, "unreachable"],
  [{ S: "ФАТАЛ", V: "FATAL", C: "42704", M: "x" }, "unknown_parameter"],
  [{ S: "FATAL", V: "FATAL", C: "22023", M: "invalid value" }, "unknown_parameter"],
  [{ S: "FATAL", V: "FATAL", C: "55000", M: "database is not accepting connections" }, "refused"],
  [{}, "not_postgres"],
];

for (const [fields, kind] of REFUSALS) {
  Deno.test(`a server that refuses with ${JSON.stringify(fields)} is ${kind}`, async () => {
    await using server = await refusingServer(fields);
    await using session = openSession(server.url, { name: "lotline-test" });
    const thrown: unknown = await session.sql`select 1`.then(() => "nothing", (error) => error);
    strictEqual(problemOf(thrown)?.kind, kind, String(thrown));
    strictEqual(isResponse(thrown), kind === "not_postgres", "a fatal one ends its connection");
    const error = toApiError(thrown);
    deepStrictEqual([error.status, error.headers, error.problem], [
      503,
      { "retry-after": "1" },
      kind,
    ]);
  });
}

Deno.test("an address that nobody listens at is unreachable", async () => {
  const url = `postgres://plant@127.0.0.1:${freePort()}/plant`;
  await using session = openSession(url, { name: "lotline-test" });
  const thrown: unknown = await session.sql`select 1`.then(() => "nothing", (error) => error);
  strictEqual(problemOf(thrown)?.kind, "unreachable");
});

Deno.test("an undefined object is a problem of the address only before the first statement", async () => {
  await using database = await freshDatabase({ migrated: false });
  const raise = "do $$ begin raise exception 'x' using errcode = '42704'; end $$";
  const thrown: unknown = await database.sql.unsafe(raise).then(() => "nothing", (error) => error);
  strictEqual(problemOf(thrown), undefined);
});

Deno.test("each sentence is short, has no full stop and names nothing of the machine", () => {
  for (const kind of PROBLEM_KINDS) {
    const { sentence, todo } = problem(kind);
    match(sentence, /^[A-Z][^.:"]{10,80}$/);
    match(todo, /^[a-z][^"]{10,90}[^.]$/);
  }
});

Deno.test("docs/operations.md has a row for each problem", async () => {
  const page = await Deno.readTextFile(new URL("../docs/operations.md", import.meta.url));
  const rows = [...page.matchAll(/^\| `(\w+)` +\| (.+?) +\| (.+?) +\|$/gm)];
  for (const kind of PROBLEM_KINDS) {
    const { sentence, todo } = problem(kind);
    const [, , ...texts] = rows.find(([, name]) => name === kind) ?? [];
    deepStrictEqual(texts.map((text) => text.replaceAll("`", "")), [sentence, todo], kind);
  }
});

/** Ends each connection with an ErrorResponse of these fields. */
async function refusingServer(fields: Record<string, string>) {
  const body = Object.entries(fields).map(([name, value]) => `${name}${value}\0`).join("") + "\0";
  const text = new TextEncoder().encode(body);
  const message = new Uint8Array(5 + text.length);
  message[0] = "E".charCodeAt(0);
  new DataView(message.buffer).setUint32(1, 4 + text.length);
  message.set(text, 5);
  const server = net.createServer((client) => {
    client.on("error", () => {});
    client.once("data", () => client.end(message));
  });
  const port = await listen(server);
  return {
    url: `postgres://plant:secret@127.0.0.1:${port}/plant`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
