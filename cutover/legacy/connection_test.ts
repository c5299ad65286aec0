import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import { makeAuthority } from "../../testing/certificates.ts";
import { ownPostgres, tlsPostgres } from "../../testing/postgres_servers.ts";
import { temporaryFolder } from "../../testing/temporary_folder.ts";
import { connectionOf } from "./connection.ts";
import { startLegacy } from "./server.ts";

const READ: readonly [address: string, expected: Record<string, unknown>][] = [
  ["postgres://me@db/plant", { host: "db", port: 5432, user: "me", database: "plant", ssl: false }],
  ["postgres://me@[::1]:6000/plant?schema=public", { host: "::1", port: 6000 }],
  ["postgres://me@%2Frun%2Fpg:6000/plant?sslmode=require", { host: "/run/pg", ssl: false }],
  ["postgres://me@db/plant?hostaddr=10.0.0.7", { host: "10.0.0.7" }],
  ["postgres://me@db/plant?options=-c%20geqo%3Doff", { options: "-c geqo=off" }],
  ["postgres://me:p%40%23#x?y@db/plant", { host: "db", database: "plant" }],
  ["postgres://me@db/plant?sslmode=require", {
    ssl: { rejectUnauthorized: false, servername: "db" },
  }],
  ["postgres://me@db/plant?sslmode=verify-full&sslrootcert=system", {
    ssl: { rejectUnauthorized: true, servername: "db" },
  }],
];

for (const [address, expected] of READ) {
  Deno.test(`the stand-in reads ${address} as Lotline does`, () => {
    const read = new Map(Object.entries(connectionOf(address)));
    deepStrictEqual(
      Object.fromEntries(Object.keys(expected).map((name) => [name, read.get(name)])),
      expected,
    );
  });
}

Deno.test("what the stand-in can't do is refused, and its time zone is added to options", () => {
  throws(() => connectionOf("postgres://me@a,b/plant"), /names several hosts/);
  throws(
    () => connectionOf("postgres://me@a/plant?sslmode=require&sslnegotiation=direct"),
    /has no sslnegotiation=direct/,
  );
  throws(
    () => connectionOf("postgres://me@a/plant?sslmode=verify-ca&sslrootcert=/none.crt"),
    /sslrootcert: the file can't be read/,
  );
  const address = "postgres://me@db/plant?options=-c%20geqo%3Doff";
  strictEqual(connectionOf(address, "Asia/Tokyo").options, "-c geqo=off -c TimeZone=Asia/Tokyo");
});

/** What the stand-in says of a lot that isn't there: a table is missing, or why it can't connect. */
async function responseOver(databaseUrl: string): Promise<string> {
  await using old = await startLegacy({ databaseUrl, port: 0 });
  return (await (await fetch(`${old.url}/api/traceability/NONE`)).json()).error;
}
const CONNECTED = 'relation "lots" does not exist';

Deno.test("the stand-in checks a certificate as the address says, for an IP address too", async () => {
  await using folder = await temporaryFolder();
  const authority = await makeAuthority(folder.path);
  await using postgres = await tlsPostgres(await authority.issue({ names: ["IP:127.0.0.1"] }));
  const over = (query: string, host?: string) =>
    responseOver(postgres.address({ query, ...(host && { host }) }));
  const root = `sslrootcert=${authority.cert}`;
  strictEqual(await over("sslmode=require"), CONNECTED);
  strictEqual(await over(`sslmode=verify-full&${root}`), CONNECTED);
  strictEqual(await over(`sslmode=verify-ca&${root}`, "localhost"), CONNECTED);
  match(await over(`sslmode=verify-full&${root}`, "localhost"), /altnames|certificate/i);
  const other = await makeAuthority(folder.path);
  match(await over(`sslmode=verify-ca&sslrootcert=${other.cert}`), /certificate|issuer/i);
});

Deno.test("the stand-in connects over a Unix socket", async () => {
  const socket = await Deno.makeTempDir({ prefix: "lotline-test-" });
  // The server is another user, and makes its socket there.
  await Deno.chmod(socket, 0o777);
  try {
    await using postgres = await ownPostgres(17, {
      settings: { unix_socket_directories: socket },
    });
    const { port } = postgres.server;
    const folder = encodeURIComponent(socket);
    strictEqual(await responseOver(`postgres://postgres@${folder}:${port}/postgres`), CONNECTED);
  } finally {
    await Deno.remove(socket, { recursive: true });
  }
});
