import { rejects, strictEqual } from "node:assert/strict";
import { makeAuthority } from "../testing/certificates.ts";
import { ownPostgres, tlsPostgres } from "../testing/postgres_servers.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { openSession } from "./session.ts";

const folder = await temporaryFolder();
Deno.test.afterAll(async () => await folder[Symbol.asyncDispose]());
const ours = await makeAuthority(folder.path);
const other = await makeAuthority(folder.path);

/** How a connection comes about: encrypted, in plain text, or not for this reason. */
async function resultOf(address: string): Promise<string> {
  await using session = openSession(address, { name: "lotline-test" });
  try {
    const [row] = await session.sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
    return row?.ssl ? "tls" : "plain";
  } catch (error) {
    const { kind, code } = error as { kind?: string; code?: string };
    return kind ?? code ?? String(error);
  }
}

const query = (parameters: Record<string, string>) =>
  new URLSearchParams(parameters).toString().replaceAll("+", "%20");

const MAX_RESETS = 10;
const ALL_MODES = "disable allow prefer require verify-ca verify-full";
const named = (names: string[]) => ours.issue({ commonName: "x", names });

const CERTIFICATES = {
  "an IP address": await named(["IP:127.0.0.1"]),
  "a name": await named(["DNS:localhost"]),
  "only a common name": await ours.issue({ commonName: "localhost" }),
  "a wildcard": await named(["DNS:*.example.test"]),
  "another name": await named(["DNS:other.test"]),
  "an expired one": await ours.issue({ names: ["DNS:localhost"], isExpired: true }),
  "another authority's": await other.issue({ names: ["DNS:localhost"] }),
} as const;

/** The results by `sslmode`, with our authority as `sslrootcert`, for a host at 127.0.0.1. */
const CASES: readonly [
  certificate: keyof typeof CERTIFICATES,
  host: string,
  results: Record<string, string>,
][] = [
  ["an IP address", "127.0.0.1", { [ALL_MODES]: "tls", "disable allow": "plain" }],
  ["an IP address", "localhost", { "verify-ca": "tls", "verify-full": "tls_name" }],
  ["a name", "localhost", { "verify-ca verify-full": "tls" }],
  ["a name", "127.0.0.1", { "verify-ca": "tls", "verify-full": "tls_name" }],
  ["only a common name", "localhost", { "verify-ca verify-full": "tls" }],
  ["only a common name", "127.0.0.1", { "verify-full": "tls_name" }],
  ["a wildcard", "db.example.test", { "verify-ca verify-full": "tls" }],
  ["a wildcard", "a.db.example.test", { "verify-ca": "tls", "verify-full": "tls_name" }],
  ["another name", "localhost", { "require verify-ca": "tls", "verify-full": "tls_name" }],
  ["an expired one", "localhost", { "require verify-ca verify-full": "tls_expired" }],
  ["another authority's", "localhost", {
    "require verify-ca verify-full": "tls_untrusted",
    // As libpq: the check fails, and the mode allows plain text.
    prefer: "plain",
  }],
];

Deno.test("each sslmode accepts the certificates that libpq accepts", async (t) => {
  await using postgres = await tlsPostgres(CERTIFICATES["a name"]);
  for (const [certificate, presented] of Object.entries(CERTIFICATES)) {
    await postgres.present(presented);
    for (const [, host, results] of CASES.filter(([name]) => name === certificate)) {
      const byMode = Object.entries(results).flatMap(([modes, result]) =>
        modes.split(" ").map((mode) => [mode, result] as const)
      );
      for (const [sslmode, result] of new Map(byMode)) {
        await t.step(`${certificate}, ${host}, ${sslmode}: ${result}`, async () => {
          const parameters = query({ hostaddr: "127.0.0.1", sslmode, sslrootcert: ours.cert });
          strictEqual(await resultOf(postgres.address({ host, query: parameters })), result);
        });
      }
    }
    await t.step(`${certificate}, without sslrootcert, require: tls`, async () => {
      strictEqual(await resultOf(postgres.address({ query: "sslmode=require" })), "tls");
    });
  }
});

Deno.test("the runtime's own authorities don't know a private one", async () => {
  await using postgres = await tlsPostgres(CERTIFICATES["a name"]);
  const address = postgres.address({ host: "localhost", query: "sslrootcert=system" });
  strictEqual(await resultOf(address), "tls_untrusted");
});

Deno.test("a self-signed certificate is its own authority", async () => {
  await using postgres = await tlsPostgres(ours);
  const parameters = query({ sslmode: "verify-ca", sslrootcert: ours.cert });
  strictEqual(await resultOf(postgres.address({ query: parameters })), "tls");
});

Deno.test("an IPv6 address is checked as one", async () => {
  const ipv6 = { listen_addresses: "127.0.0.1,::1" };
  const right = await named(["IP:::1"]);
  await using postgres = await tlsPostgres(right, { settings: ipv6 });
  const parameters = query({ sslmode: "verify-full", sslrootcert: ours.cert });
  const address = (host: string) => postgres.address({ host, query: parameters });
  strictEqual(await resultOf(address("[::1]")), "tls");
  strictEqual(await resultOf(address("127.0.0.1")), "tls_name");
});

Deno.test("a server without TLS is used without by the modes that allow it", async () => {
  await using postgres = await ownPostgres();
  for (const sslmode of ["disable", "allow", "prefer", ""]) {
    const address = postgres.address({ query: sslmode && `sslmode=${sslmode}` });
    strictEqual(await resultOf(address), "plain", sslmode);
  }
  for (const sslmode of ["require", "verify-ca", "verify-full"]) {
    const parameters = query({ sslmode, sslrootcert: ours.cert });
    strictEqual(await resultOf(postgres.address({ query: parameters })), "tls_unsupported");
  }
});

/** A line of pg_hba.conf, and the results by mode. */
const HBA: readonly [line: string, results: Record<string, string>][] = [
  ["hostssl all all all trust", {
    disable: "28000",
    "allow prefer require": "tls",
  }],
  ["hostnossl all all all trust", {
    "disable allow prefer": "plain",
    require: "28000",
  }],
];

for (const [line, results] of HBA) {
  Deno.test(`pg_hba.conf with "${line}" decides between the encryptions that a mode allows`, async () => {
    await using postgres = await tlsPostgres(CERTIFICATES["a name"], { hba: [line] });
    for (const [modes, result] of Object.entries(results)) {
      for (const sslmode of modes.split(" ")) {
        const address = postgres.address({ query: `sslmode=${sslmode}` });
        strictEqual(await resultOf(address), result, sslmode);
      }
    }
  });
}

Deno.test("a wrong password is one, whatever the other encryption's refusal is", async () => {
  await using postgres = await tlsPostgres(CERTIFICATES["a name"], {
    hba: ["hostssl all all all scram-sha-256"],
  });
  const address = postgres.address().replace("postgres@", "postgres:wrong@");
  strictEqual(await resultOf(address), "28P01");
});

Deno.test("a client shows its certificate to a server that requires one", async (t) => {
  await using postgres = await tlsPostgres(CERTIFICATES["a name"], {
    hba: ["hostssl all all all trust clientcert=verify-ca"],
    clientAuthority: ours.cert,
  });
  const withPassword = await ours.issue({ keyPassword: "pass word" });
  const foreign = await other.issue({});
  const own = await ours.issue({});
  const cases: Record<string, [parameters: Record<string, string>, result: string]> = {
    none: [{}, "28000"],
    "its own": [{ sslcert: own.cert, sslkey: own.key }, "tls"],
    "one that it keeps back": [
      { sslcert: own.cert, sslkey: own.key, sslcertmode: "disable" },
      "28000",
    ],
    "one whose key has a password": [
      { sslcert: withPassword.cert, sslkey: withPassword.key, sslpassword: "pass word" },
      "tls",
    ],
    "one whose key's password is missing": [
      { sslcert: withPassword.cert, sslkey: withPassword.key },
      "tls_file",
    ],
    "one whose key's password is wrong": [
      { sslcert: withPassword.cert, sslkey: withPassword.key, sslpassword: "wrong" },
      "tls_file",
    ],
    "another authority's": [{ sslcert: foreign.cert, sslkey: foreign.key }, "tls_client_key"],
    "a key without its certificate": [{ sslcert: own.key, sslkey: own.key }, "tls_file"],
    "a file that is missing": [{ sslcert: own.cert, sslkey: `${own.key}.none` }, "tls_file"],
    "the key of another": [{ sslcert: own.cert, sslkey: foreign.key }, "tls_file"],
  };
  for (const [what, [parameters, result]] of Object.entries(cases)) {
    await t.step(`${what}: ${result}`, async () => {
      const address = postgres.address({ query: query({ sslmode: "require", ...parameters }) });
      let found = await resultOf(address);
      // TLS 1.3 refuses a certificate after the client's first bytes, and the reset of a connection with
      // unread bytes can overtake the refusal.
      for (let attempt = 0; found === "unreachable" && attempt < MAX_RESETS; attempt++) {
        found = await resultOf(address);
      }
      strictEqual(found, result);
    });
  }
});

Deno.test("versions of TLS are limited, and TLS begins directly", async (t) => {
  await using postgres = await tlsPostgres(CERTIFICATES["a name"], {
    settings: { ssl_max_protocol_version: "TLSv1.2" },
  });
  const cases: Record<string, string> = {
    "sslmode=require": "tls",
    "sslmode=require&ssl_max_protocol_version=TLSv1.2": "tls",
    "sslmode=require&ssl_min_protocol_version=TLSv1.3": "tls_failed",
    "sslmode=require&sslnegotiation=direct": "tls",
  };
  for (const [parameters, result] of Object.entries(cases)) {
    await t.step(`${parameters}: ${result}`, async () => {
      strictEqual(await resultOf(postgres.address({ query: parameters })), result);
    });
  }
});

Deno.test("a renewed certificate is read without a restart", async () => {
  await using postgres = await tlsPostgres(CERTIFICATES["a name"]);
  const authority = `${folder.path}/current.crt`;
  await Deno.copyFile(other.cert, authority);
  const parameters = query({ sslmode: "verify-full", sslrootcert: authority });
  const address = postgres.address({ host: "localhost", query: parameters });
  strictEqual(await resultOf(address), "tls_untrusted");
  await Deno.copyFile(ours.cert, authority);
  strictEqual(await resultOf(address), "tls");
});

Deno.test("errors of TLS hold neither a password nor a key", async () => {
  await using postgres = await tlsPostgres(CERTIFICATES["another name"]);
  const parameters = query({ sslmode: "verify-full", sslrootcert: ours.cert });
  const address = postgres.address({ host: "localhost", query: parameters })
    .replace("postgres@", "postgres:canary-password@");
  await using session = openSession(address, { name: "lotline-test" });
  await rejects(session.sql`select 1`, (error: Error) => !/canary/.test(Deno.inspect(error)));
});
