import { Buffer } from "node:buffer";
import net from "node:net";
import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { openForServers } from "../dev/state_folder.ts";
import { openLink } from "../testing/black_hole.ts";
import { giveToServer } from "../testing/certificates.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startSocketServer, unusedAddress } from "../testing/test_server.ts";
import { connect } from "./connect.ts";
import { openSession } from "./session.ts";

/** Long enough for a busy machine, short enough to wait for with servers that are silent. */
const CONNECT_TIMEOUT_MS = 2_000;

/** The port of the server that a connection ends at, or why there is none. */
async function resultOf(address: string): Promise<unknown> {
  const options = { name: "lotline-test", connectTimeoutMs: CONNECT_TIMEOUT_MS };
  await using session = openSession(address, options);
  try {
    const [row] = await session.sql`select current_setting('port')::int as port`;
    return row?.port;
  } catch (error) {
    const { kind, code } = error as { kind?: string; code?: string };
    return kind ?? code ?? String(error);
  }
}

const portOf = (url: string) => Number(new URL(url).port);

/** The address of several ports of this machine. */
const addressOf = (ports: readonly number[], query = "") =>
  `postgres://postgres@${ports.map((port) => `127.0.0.1:${port}`).join()}/postgres?${query}`;

Deno.test("the first host that accepts the connection is used", async (t) => {
  await using postgres = await ownPostgres();
  const { port } = postgres.server;
  const unused = portOf(unusedAddress());
  await using silent = await startSocketServer(() => {});
  await using closing = await startSocketServer((socket) => socket.destroy());
  const cases: Record<string, [ports: number[], result: unknown]> = {
    "one": [[port], port],
    "nothing listens on the first": [[unused, port], port],
    "the first is silent": [[portOf(silent.url), port], port],
    "the first closes": [[portOf(closing.url), port], port],
    "nothing listens anywhere": [[unused, unused], "unreachable"],
    "all are silent": [[portOf(silent.url), portOf(silent.url)], "unreachable"],
  };
  for (const [what, [ports, result]] of Object.entries(cases)) {
    await t.step(what, async () => strictEqual(await resultOf(addressOf(ports)), result));
  }
  await t.step("a name without an address", async () => {
    const address = `postgres://postgres@nothing.invalid,127.0.0.1:${port}/postgres`;
    strictEqual(await resultOf(`${address}?port=1,${port}`), port);
  });
  await t.step("a random order reaches each", async () => {
    await using second = await ownPostgres(15);
    const address = addressOf([port, second.server.port], "load_balance_hosts=random");
    const reached = new Set<unknown>();
    for (let n = 0; n < 60 && reached.size < 2; n++) reached.add(await resultOf(address));
    deepStrictEqual(reached, new Set([port, second.server.port]));
  });
});

Deno.test("a dead host delays only the first connections, then it is tried last", async () => {
  await using postgres = await ownPostgres();
  await using silent = await startSocketServer(() => {});
  let attempts = 0;
  await using counting = await startSocketServer(() => attempts++);
  const ports = [portOf(counting.url), portOf(silent.url), postgres.server.port];
  const sql = connect({ url: `${addressOf(ports, "connect_timeout=1")}`, max: 1 });
  try {
    for (let n = 0; n < 5; n++) {
      await sql`select 1`;
      await sql`select pg_terminate_backend(pg_backend_pid())`.catch(() => {});
    }
    strictEqual(attempts, 1);
  } finally {
    await sql.end({ timeout: 1 });
  }
});

Deno.test("a login that the first host refuses ends the attempts, as in libpq", async () => {
  await using strict = await ownPostgres(17, { hba: ["host all all all scram-sha-256"] });
  await using open = await ownPostgres();
  strictEqual(await resultOf(addressOf([strict.server.port, open.server.port])), "28P01");
});

Deno.test("target_session_attrs chooses between a primary and a standby", async (t) => {
  await using primary = await ownPostgres();
  await using standby = await ownPostgres();
  await using readOnly = await ownPostgres(15, {
    settings: { default_transaction_read_only: "on" },
  });
  await standby.becomeStandby();
  const P = primary.server.port;
  const S = standby.server.port;
  const R = readOnly.server.port;
  /** Hosts in their order, and the result for each value. */
  const cases: readonly [ports: number[], results: Record<string, unknown>][] = [
    [[S, P], { any: S, "read-write": P, "read-only": S, primary: P, standby: S }],
    [[P, S], { any: P, "read-write": P, "read-only": S, primary: P, standby: S }],
    [[P, S], { "prefer-standby": S }],
    [[R, P], { "read-write": P, "read-only": R, primary: R, standby: "no_suitable_server" }],
    [[P], { "prefer-standby": P, "read-only": "no_suitable_server" }],
    [[S], { "read-write": "read_only", primary: "read_only", "prefer-standby": S }],
    [[R], { "read-write": "read_only", primary: R }],
  ];
  const names = new Map([[P, "primary"], [S, "standby"], [R, "read-only"]]);
  for (const [ports, results] of cases) {
    for (const [value, result] of Object.entries(results)) {
      const hosts = ports.map((port) => names.get(port)).join(", ");
      await t.step(`${value} of ${hosts}`, async () => {
        strictEqual(await resultOf(addressOf(ports, `target_session_attrs=${value}`)), result);
      });
    }
  }
  await t.step("a session that is read-only itself finds the primary", async () => {
    const address = addressOf([S, P], "target_session_attrs=read-write");
    await using session = openSession(address, { name: "lotline-test", readOnly: true });
    const [row] = await session.sql`select current_setting('port')::int as port`;
    strictEqual(row?.port, P);
  });
  await t.step("the new primary is found after a promotion", async () => {
    const address = addressOf([P, S], "target_session_attrs=read-write");
    const sql = connect({ url: address, max: 3 });
    try {
      await sql`select 1`;
      await primary.server.kill();
      await sql`select 1`.catch(() => {});
      await using direct = openSession(addressOf([S]), { name: "lotline-test" });
      await direct.sql`select pg_promote()`;
      await sql`create table stored ()`;
    } finally {
      await sql.end({ timeout: 1 });
    }
  });
});

Deno.test("a unix socket is used, by a folder in the query or in the place of the host", async () => {
  await using folder = await temporaryFolder();
  openForServers(folder.path);
  await giveToServer(folder.path, 0o755);
  await using postgres = await ownPostgres(17, {
    settings: { unix_socket_directories: folder.path, listen_addresses: "" },
    hba: ["local all all trust"],
  });
  const { port } = postgres.server;
  const encoded = encodeURIComponent(folder.path);
  for (
    const address of [
      `postgres://postgres@/postgres?host=${folder.path}&port=${port}`,
      `postgres://postgres@${encoded}:${port}/postgres`,
      `postgres://postgres@${encoded}:${port}/postgres?sslmode=require`,
    ]
  ) strictEqual(await resultOf(address), port, address);
  strictEqual(await resultOf(`postgres://postgres@${encoded}:1/postgres`), "unreachable");
});

Deno.test("a folder that Deno may not open a socket in is named with the permission", async () => {
  await using folder = await temporaryFolder();
  const program = `${folder.path}/program.ts`;
  await Deno.writeTextFile(
    program,
    `import { openSession } from "${import.meta.resolve("./session.ts")}";
    await using session = openSession("postgres://x@%2Fsrv%2Fsockets/x", { name: "x" });
    await session.sql\`select 1\`.catch((error) => console.log(error.kind, error.message));`,
  );
  const config = new URL("../deno.json", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--no-prompt", "--config", config, "--allow-net"]
      .concat("--allow-env", "--allow-read", program),
  }).output();
  match(
    new TextDecoder().decode(stdout),
    /^no_permission .*--allow-read=\/srv\/sockets --allow-write=\/srv\/sockets$/m,
  );
});

Deno.test("an IPv6 address is used", async () => {
  await using postgres = await ownPostgres(17, { settings: { listen_addresses: "::1" } });
  strictEqual(await resultOf(postgres.address({ host: "[::1]" })), postgres.server.port);
});

/** A message of PostgreSQL. */
const message = (type: string, content: Uint8Array | string): Buffer => {
  const body = Buffer.from(content as string);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

const login = (method: number, rest = "") =>
  message("R", Buffer.concat([Buffer.from([0, 0, 0, method]), Buffer.from(rest)]));
const error = (code: string) => message("E", `SFATAL\0VFATAL\0C${code}\0Mno\0\0`);

/** What a server sends to the first message, and the result. */
const ODD_SERVERS: Record<string, [reply: (socket: net.Socket) => void, result: string]> = {
  "an HTTP server": [(socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"), "not_postgres"],
  "a server of another protocol": [(socket) => socket.write("220 mail ready\r\n"), "not_postgres"],
  "a server that closes": [(socket) => socket.end(), "unreachable"],
  "an endless message": [
    (socket) => socket.write(Buffer.concat([Buffer.from("E\x7f\xff\xff\xff", "latin1")])),
    "not_postgres",
  ],
  "endless messages": [
    (socket) => {
      const parameter = message("S", `x\0${"y".repeat(1_000)}\0`);
      for (let n = 0; n < 100; n++) socket.write(parameter);
    },
    "not_postgres",
  ],
  "a server that starts": [(socket) => socket.end(error("57P03")), "starting"],
  "a server that refuses": [(socket) => socket.end(error("3D000")), "3D000"],
  "a login by Kerberos": [(socket) => socket.write(login(7)), "auth_method"],
  "SCRAM with a binding alone": [
    (socket) => socket.write(login(10, "SCRAM-SHA-256-PLUS\0\0")),
    "auth_method",
  ],
  "SCRAM with too many rounds": [
    (socket) => {
      socket.write(login(10, "SCRAM-SHA-256\0\0"));
      socket.write(login(11, "r=abc,s=YWJj,i=2000000000"));
    },
    "auth_method",
  ],
  "SCRAM without a proof": [
    (socket) => {
      socket.write(login(10, "SCRAM-SHA-256\0\0"));
      socket.write(login(0));
    },
    "auth_method",
  ],
  "a login that is cut off": [(socket) => socket.write(message("R", "x")), "not_postgres"],
};

for (const [what, [reply, result]] of Object.entries(ODD_SERVERS)) {
  Deno.test(`${what}: ${result}`, async () => {
    await using server = await startSocketServer((socket) => {
      socket.once("data", () => reply(socket));
    });
    strictEqual(await resultOf(addressOf([portOf(server.url)], "sslmode=disable")), result);
  });
}

Deno.test("bytes behind the consent to TLS are refused", async () => {
  await using server = await startSocketServer((socket) => {
    socket.once("data", () => socket.write("S\0"));
  });
  strictEqual(await resultOf(addressOf([portOf(server.url)], "sslmode=require")), "not_postgres");
});

Deno.test("messages that arrive byte by byte are read", async () => {
  await using postgres = await ownPostgres();
  await using slow = await startSocketServer((client) => {
    const upstream = net.connect(postgres.server.port, "127.0.0.1");
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => {
      for (const byte of bytes as Uint8Array) client.write(Uint8Array.of(byte));
    });
    client.on("close", () => upstream.destroy());
  });
  strictEqual(await resultOf(addressOf([portOf(slow.url)])), postgres.server.port);
});

Deno.test("the error of several hosts names each with its cause", async () => {
  const unused = portOf(unusedAddress());
  await using web = await startSocketServer((socket) => {
    socket.once("data", () => socket.end(error("57P03")));
  });
  const ports = [unused, portOf(web.url)];
  const address = addressOf(ports, "sslmode=disable").replace("postgres@", "postgres:secret@");
  await using session = openSession(address, { name: "lotline-test" });
  await rejects(session.sql`select 1`, ({ message }: Error) => {
    for (const port of ports) match(message, new RegExp(`127\\.0\\.0\\.1:${port}: `));
    strictEqual(message.includes("secret"), false);
    return true;
  });
});

Deno.test("a host that is lost while it starts the connection is left for the next", async () => {
  await using postgres = await ownPostgres();
  await using link = await openLink(postgres.server.port);
  link.swallow();
  strictEqual(
    await resultOf(addressOf([link.port, postgres.server.port])),
    postgres.server.port,
  );
});
