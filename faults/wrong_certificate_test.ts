import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { problem } from "../db/problems.ts";
import { startPostgres } from "../dev/postgres.ts";
import { serverUser } from "../dev/state_folder.ts";
import { startApi } from "../testing/api.ts";
import { taskOutput } from "../testing/task_output.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

Deno.test("a certificate that nobody vouches for is 503, and the cause in readiness, log and command", async () => {
  await using folder = await temporaryFolder();
  const [key, certificate] = [join(folder.path, "key.pem"), join(folder.path, "certificate.pem")];
  const { success } = await new Deno.Command("openssl", {
    args: ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
      .concat("-days", "1", "-subj", "/CN=plant.example", "-keyout", key, "-out", certificate),
    stdout: "null",
    stderr: "null",
  }).output();
  strictEqual(success, true, "openssl makes a certificate");
  // PostgreSQL refuses a key that others may read.
  const user = serverUser();
  for (const file of [key, certificate]) {
    await Deno.chmod(file, 0o600);
    if (user !== undefined) await Deno.chown(file, user.uid, user.gid);
  }
  await using server = await startPostgres({
    major: 17,
    dataDir: join(folder.path, "postgres"),
    settings: { fsync: "off", ssl: "on", ssl_cert_file: certificate, ssl_key_file: key },
  });
  const databaseUrl = `${server.url}?sslmode=verify-full&sslrootcert=system`;
  await using api = await startApi({ databaseUrl });
  const { sentence, todo } = problem("tls_untrusted");
  const response = await api.get("/api/traceability/MIX-BATCH-88");
  deepStrictEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
  const ready = await api.get("/readyz");
  deepStrictEqual([ready.status, ready.json], [503, {
    error: sentence,
    details: [{ path: "database", message: todo }],
  }]);
  const line = await api.log.find((text) => text.includes('"event":"database_down"'));
  strictEqual(JSON.parse(line).problem, "tls_untrusted");
  const { code, error } = await taskOutput(["migrate"], { DATABASE_URL: databaseUrl });
  strictEqual(code, 1);
  match(error, RegExp(`^${sentence}: ${todo} \\([^\n]+\\)$`));
});
