import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { makeAuthority } from "../testing/certificates.ts";
import { ownPostgres, tlsPostgres } from "../testing/postgres_servers.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { databaseCertificates, endOf } from "./certificates.ts";

const endsOf = async (url: string) =>
  Object.fromEntries(
    await Promise.all(
      databaseCertificates("database", url).map(async ({ of, readEnd }) =>
        [of, await readEnd()] as const
      ),
    ),
  );

Deno.test("the ends are those of the server's certificate and of the address's files", async () => {
  await using folder = await temporaryFolder();
  const authority = await makeAuthority(folder.path);
  const [first, renewed, client] = [
    await authority.issue({ names: ["DNS:localhost"], isExpired: true }),
    await authority.issue({ names: ["DNS:localhost"] }),
    await authority.issue({ commonName: "client" }),
  ];
  const endOfFile = async (path: string) => endOf(await Deno.readTextFile(path));
  await using server = await tlsPostgres(first);
  const files = { sslrootcert: authority.cert, sslcert: client.cert, sslkey: client.key };
  const plain = server.address({ query: "sslmode=require" });
  deepStrictEqual(await endsOf(plain), {
    database: await endOfFile(first.cert),
    database_authority: undefined,
    database_client: undefined,
  });
  await server.present(renewed);
  const query = `${new URLSearchParams({ sslmode: "verify-full", ...files })}`;
  deepStrictEqual(await endsOf(server.address({ host: "localhost", query })), {
    database: await endOfFile(renewed.cert),
    database_authority: await endOfFile(authority.cert),
    database_client: await endOfFile(client.cert),
  });
});

Deno.test("without TLS there is no certificate", async () => {
  await using own = await ownPostgres(17);
  strictEqual((await endsOf(own.server.url)).database, undefined);
});
