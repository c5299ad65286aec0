import { match, ok, strictEqual, throws } from "node:assert/strict";
import { createClient } from "redis";
import { ConfigError } from "../config.ts";
import type { Log } from "../log.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { openTlsLink } from "../testing/tls_link.ts";
import { connectValkey, type Valkey } from "./valkey.ts";

const quiet: Log = () => {};
const untilUsable = (valkey: Valkey) => eventually("Valkey answers", () => valkey.isUsable());

/** The error of the first failed connection. */
async function failureOf(url: string, caFile?: string): Promise<string> {
  const errors: string[] = [];
  const log: Log = (_level, _event, fields) => void errors.push(JSON.stringify(fields?.error));
  const link = connectValkey(url, log, { caFile });
  await eventually("a failure", () => Promise.resolve(errors.length > 0));
  strictEqual(await link.isUsable(), false);
  link.close();
  return errors[0] ?? "";
}

/** A client of its own, without limits. */
async function open(url: string) {
  const client = createClient({ url });
  await client.connect();
  return { client, [Symbol.dispose]: () => client.destroy() };
}

Deno.test("Valkey's certificate is checked by the address's name or IP address, and by VALKEY_CA_FILE", async () => {
  await using valkey = await ownValkey();
  await using byAddress = await openTlsLink(valkey.server.port, "IP:127.0.0.1");
  await using byName = await openTlsLink(valkey.server.port, "DNS:localhost");
  for (
    const [url, caFile] of [
      [`rediss://127.0.0.1:${byAddress.port}`, byAddress.caFile],
      [`valkeys://127.0.0.1:${byAddress.port}/3`, byAddress.caFile],
      [`rediss://localhost:${byName.port}`, byName.caFile],
    ] as const
  ) {
    const link = connectValkey(url, quiet, { caFile });
    await untilUsable(link);
    strictEqual(await link.tryCommand((client) => client.set("a", "1")), "OK");
    link.close();
  }
  const { port, caFile } = byAddress;
  match(await failureOf(`rediss://localhost:${port}`, caFile), /altnames/);
  match(await failureOf(`rediss://127.0.0.1:${byName.port}`, byName.caFile), /altnames/);
  match(await failureOf(`rediss://127.0.0.1:${port}`, byName.caFile), /certificate/i);
  match(await failureOf(`rediss://127.0.0.1:${port}`), /certificate/i);
  // TLS and no TLS don't fall back to each other.
  ok(await failureOf(`redis://127.0.0.1:${port}`));
  ok(await failureOf(`rediss://127.0.0.1:${valkey.server.port}`));
});

Deno.test("VALKEY_CA_FILE without TLS, without a file or without a certificate stops the start", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/ca.crt`;
  const start = (url: string) => () => connectValkey(url, quiet, { caFile: file });
  const mistake = (rest: string) => new ConfigError(`VALKEY_CA_FILE ${rest}`);
  throws(start("redis://h"), mistake("needs a VALKEY_URL that begins with rediss://"));
  throws(start("rediss://h"), mistake("names a file that can't be read: NotFound"));
  for (
    const text of ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
  ) {
    await Deno.writeTextFile(file, text);
    throws(start("rediss://h"), mistake("holds no certificate in PEM form"));
  }
});

Deno.test("user, password and database of the address are used, also after a new connection", async () => {
  await using valkey = await ownValkey();
  using admin = await open(valkey.server.url);
  const user = ["ACL", "SETUSER", "u@x", "on", ">50%:/?#", "~*", "+@all"];
  strictEqual(await admin.client.sendCommand(user), "OK");
  await admin.client.sendCommand(["ACL", "SETUSER", "default", "resetpass", ">hunter2"]);
  const place = `127.0.0.1:${valkey.server.port}/3`;
  for (const credentials of ["u%40x:50%25%3A%2F%3F%23", ":hunter2"]) {
    const link = connectValkey(`redis://${credentials}@${place}`, quiet);
    await untilUsable(link);
    const { connection } = link;
    await admin.client.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    await eventually("a new connection", () => Promise.resolve(link.connection > connection));
    await untilUsable(link);
    await link.tryCommand((client) => client.set(credentials, "1"));
    await admin.client.select(3);
    strictEqual(await admin.client.get(credentials), "1");
    await admin.client.select(0);
    strictEqual(await admin.client.get(credentials), null);
    link.close();
  }
  match(await failureOf(`redis://u%40x:wrong@${place}`), /WRONGPASS/);
  match(await failureOf(`redis://${place}`), /NOAUTH/);
});

Deno.test("a server of a cluster is not used: it has only a part of the keys", async () => {
  await using valkey = await ownValkey({ args: ["--cluster-enabled", "yes"] });
  const link = connectValkey(valkey.server.url, quiet);
  await eventually("its reply", async () => await link.problem() === "cluster");
  strictEqual(await link.isUsable(), false);
  link.close();
});
