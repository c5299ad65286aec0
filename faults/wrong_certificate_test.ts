import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import type { ProblemKind } from "../db/link_error.ts";
import { problem } from "../db/problems.ts";
import { startApi } from "../testing/api.ts";
import { makeAuthority } from "../testing/certificates.ts";
import { tlsPostgres } from "../testing/postgres_servers.ts";
import { taskOutput } from "../testing/task_output.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

const folder = await temporaryFolder();
Deno.test.afterAll(async () => await folder[Symbol.asyncDispose]());
const [authority, other] = [await makeAuthority(folder.path), await makeAuthority(folder.path)];
const names = ["IP:127.0.0.1"];
const good = await authority.issue({ names });

const WRONG: readonly [
  what: string,
  certificate: typeof good,
  rootCert: string,
  kind: ProblemKind,
][] = [
  ["of another authority", good, other.cert, "tls_untrusted"],
  ["of an authority that the machine doesn't know", good, "system", "tls_untrusted"],
  [
    "of another server",
    await authority.issue({ names: ["DNS:plant.example"] }),
    authority.cert,
    "tls_name",
  ],
  [
    "that has expired",
    await authority.issue({ names, isExpired: true }),
    authority.cert,
    "tls_expired",
  ],
];

for (const [what, certificate, rootCert, kind] of WRONG) {
  Deno.test(`a certificate ${what} is 503, and the cause in readiness, log and command`, async () => {
    await using postgres = await tlsPostgres(certificate);
    const query = `sslmode=verify-full&sslrootcert=${encodeURIComponent(rootCert)}`;
    const databaseUrl = postgres.address({ query });
    await using api = await startApi({ databaseUrl });
    const { sentence, todo } = problem(kind);
    const response = await api.get("/api/traceability/MIX-BATCH-88");
    deepStrictEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
    const ready = await api.get("/readyz");
    deepStrictEqual([ready.status, ready.json], [503, {
      error: sentence,
      details: [{ path: "database", message: todo }],
    }]);
    const line = await api.log.find((text) => text.includes('"event":"database_down"'));
    strictEqual(JSON.parse(line).problem, kind);
    const { code, error } = await taskOutput(["migrate"], { DATABASE_URL: databaseUrl });
    strictEqual(code, 1);
    match(error, RegExp(`^${sentence}: ${todo} \\([^\n]+\\)$`));
  });
}
