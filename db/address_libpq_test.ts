import { deepStrictEqual } from "node:assert/strict";
import { Buffer } from "node:buffer";
import net from "node:net";
import { AddressError, parseAddress } from "./address.ts";

/* Addresses as libpq understands them: `psql` is run where there is one, and what it did is below. */

interface Understood {
  /** In the order in which they are tried. */
  readonly servers: readonly string[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly options?: string;
}

const ONE = ["127.0.0.1 PORT"];
const UD = { servers: ONE, user: "u", password: "p", database: "d" };

/** PORT is the port of a server that refuses each login with 57P03, after which libpq tries the next. */
const ADDRESSES: [address: string, understood: Understood | "refused"][] = [
  ["postgres://u:p@127.0.0.1:PORT/d", UD],
  ["postgresql://u:p@127.0.0.1:PORT/d?", UD],
  ["postgres://u:p@127.0.0.1:PORT", { ...UD, database: "u" }],
  ["postgres://u:p@127.0.0.1:PORT/", { ...UD, database: "u" }],
  ["postgres://u%40x:p%3A%2F%23%25@127.0.0.1:PORT/d%2Fe", {
    ...UD,
    user: "u@x",
    password: "p:/#%",
    database: "d/e",
  }],
  ["postgres://u:p#?&=:;+@127.0.0.1:PORT/d", { ...UD, password: "p#?&=:;+" }],
  ["postgres://u:ä%C3%A4@127.0.0.1:PORT/d", { ...UD, password: "ää" }],
  ["postgres://u:p@127.0.0.1:PORT/d#e/f", { ...UD, database: "d#e/f" }],
  ["postgres://u:p@127.0.0.1:PORT,127.0.0.2:PORT/d", {
    ...UD,
    servers: [...ONE, "127.0.0.2 PORT"],
  }],
  ["postgres://u:p@127.0.0.1,127.0.0.2/d?port=PORT", {
    ...UD,
    servers: [...ONE, "127.0.0.2 PORT"],
  }],
  ["postgres://u:p@127.0.0.1%2C127.0.0.2/d?port=PORT,PORT", {
    ...UD,
    servers: [...ONE, "127.0.0.2 PORT"],
  }],
  ["postgres:///?host=127.0.0.1&port=PORT&user=u&password=p&dbname=d", UD],
  ["postgres://a:b@c:1/e?host=127.0.0.1&port=PORT&user=u&password=p&dbname=d", UD],
  ["postgres://u:p@127.0.0.1:PORT/d?dbname=a&dbname=b&", { ...UD, database: "b" }],
  ["postgres://u:p@127.0.0.1:PORT/d?d%62name=e", { ...UD, database: "e" }],
  ["postgres://u:p@db.invalid:PORT/d?hostaddr=127.0.0.1", UD],
  ["postgres://u:p@a.invalid,b.invalid/d?hostaddr=127.0.0.2,127.0.0.1&port=PORT", {
    ...UD,
    servers: ["127.0.0.2 PORT", ...ONE],
  }],
  ["postgres://u:p@/d?host=/no/folder&port=PORT", { ...UD, servers: ["/no/folder/.s.PGSQL.PORT"] }],
  ["postgres://u:p@%2Fno%2Ffolder:PORT/d", { ...UD, servers: ["/no/folder/.s.PGSQL.PORT"] }],
  ["postgres://u:p@%2Fno%2Ffolder:PORT,127.0.0.1:PORT/d", {
    ...UD,
    servers: ["/no/folder/.s.PGSQL.PORT", ...ONE],
  }],
  ["postgres://u:p@127.0.0.1:PORT/d?options=-c%20geqo%3Doff%20-ca%3D%5C%5C", {
    ...UD,
    options: "-c geqo=off -ca=\\\\",
  }],
  ["postgres://u:p@127.0.0.1:PORT/d?sslmode=disable&target_session_attrs=any", UD],
  ["postgres://u:50%@127.0.0.1:PORT/d", "refused"],
  ["postgres://u:%zz@127.0.0.1:PORT/d", "refused"],
  ["postgres://u:p%00@127.0.0.1:PORT/d", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?sslmode", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?dbname=a&&user=b", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?dbname=a=b", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?schema=plant", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?SSLMODE=require", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?statement_timeout=0", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?sslmode=no-verify", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?target_session_attrs=master", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?connect_timeout=soon", "refused"],
  ["postgres://u:p@127.0.0.1:65536/d", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?port=1,2", "refused"],
  ["postgres://u:p@127.0.0.1:PORT/d?hostaddr=127.0.0.1,127.0.0.2", "refused"],
  ["postgres://u:p@[::1:PORT/d", "refused"],
  ["postgres://u:p@[::1]x:PORT/d", "refused"],
];

const server = await startRefusing();
const psql = await findPsql();

for (const [template, understood] of ADDRESSES) {
  Deno.test(`libpq and Lotline understand ${template} alike`, async () => {
    const address = template.replaceAll("PORT", String(server.port));
    deepStrictEqual(ours(address), understood);
    if (psql !== undefined) deepStrictEqual(await libpqs(psql, address), understood);
  });
}

const withoutPort = (text: string) => text.replaceAll(String(server.port), "PORT");

function ours(text: string): Understood | "refused" {
  try {
    const { hosts, user, password, database, options } = parseAddress(text);
    const servers = hosts.map(({ name, address = name, port, socket }) =>
      withoutPort(socket ?? `${address} ${port}`)
    );
    return { servers, user, password, database, ...(options && { options }) };
  } catch (error) {
    if (error instanceof AddressError) return "refused";
    throw error;
  }
}

/** What `psql` tries and sends with this address. */
async function libpqs(program: string, address: string): Promise<Understood | "refused"> {
  server.logins.length = 0;
  const { stderr } = await new Deno.Command(program, {
    args: ["--no-psqlrc", "--no-password", address],
    clearEnv: true,
    env: { LC_ALL: "C", HOME: "/nonexistent", PATH: "/usr/bin:/bin" },
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stderr);
  const tried = said.matchAll(
    /connection to server (?:at "([^"]*)"(?: \(([^)]*)\))?, port (\d+)|on socket "([^"]*)") failed/g,
  );
  const servers = [...tried].map(([, host, ip = host, port, socket]) =>
    withoutPort(socket ?? `${ip} ${port}`)
  );
  if (servers.length === 0 || said.includes("failed: invalid ")) return "refused";
  // Where nobody listens, nothing is sent.
  const sent = server.logins.at(-1) ?? ours(address);
  if (sent === "refused") throw new Error(said);
  return { ...sent, servers };
}

/** A server on 127.0.0.0/8 that asks for the password and then refuses the login with 57P03. */
async function startRefusing() {
  const logins: Omit<Understood, "servers">[] = [];
  const listener = net.createServer((socket) => {
    let startup: Record<string, string> | undefined;
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      if (startup !== undefined) {
        const { user = "", database = user, options } = startup;
        const password = bytes.subarray(5, -1).toString();
        logins.push({ user, password, database, ...(options !== undefined && { options }) });
        socket.end(message("E", "SFATAL\0C57P03\0Mnot now\0\0"));
      } else if (bytes.readInt32BE(4) === PROTOCOL_3) {
        const words = bytes.subarray(8).toString().split("\0");
        startup = Object.fromEntries(
          words.flatMap((word, at) =>
            at % 2 === 0 && word !== "" ? [[word, words[at + 1] ?? ""]] : []
          ),
        );
        socket.write(message("R", "\0\0\0\x03"));
      } else {
        // A request for TLS or GSSAPI.
        socket.write("N");
      }
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, "0.0.0.0", resolve));
  const address = listener.address();
  listener.unref();
  return { logins, port: typeof address === "object" ? address?.port ?? 0 : 0 };
}

const PROTOCOL_3 = 3 << 16;

function message(type: string, body: string): Uint8Array {
  const bytes = Buffer.from(`${type}\0\0\0\0${body}`);
  bytes.writeInt32BE(bytes.length - 1, 1);
  return bytes;
}

async function findPsql(): Promise<string | undefined> {
  const found = await new Deno.Command("sh", { args: ["-c", "command -v psql"] }).output();
  return new TextDecoder().decode(found.stdout).trim() || undefined;
}
