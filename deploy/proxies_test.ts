import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createKeyFile } from "../auth/keys.ts";
import { freePort } from "../dev/free_port.ts";
import { startApi } from "../testing/api.ts";
import { makeAuthority } from "../testing/certificates.ts";
import { freshDatabase } from "../testing/database.ts";
import { type Proxy, startCaddy, startNginx } from "../testing/debian_proxies.ts";
import { eventually } from "../testing/eventually.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

// Runs alone: it sends requests as fast as two processors take them.

/** Longer than the proxies keep an idle connection, and than Caddy's checks take. */
const DRAIN_SECONDS = "4";
/** To each proxy; it goes on until both processes were replaced. */
const MIN_REQUESTS = 1_000;
const AT_ONCE = 6;

/** What was sent through a proxy, and what went wrong. */
interface Load {
  readonly proxy: string;
  requests: number;
  /** Ids of the writes with 201. */
  readonly stored: string[];
  readonly failures: string[];
}

Deno.test("behind nginx and Caddy, a rolling restart of two APIs fails no request, and each write is stored once", async () => {
  await using database = await freshDatabase();
  await using folder = await temporaryFolder();
  const keyFile = `${folder.path}/keys.json`;
  await createKeyFile(keyFile);
  const authority = await makeAuthority(folder.path);
  const certificate = await authority.issue({ names: ["DNS:localhost"] });
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(authority.cert)] });

  const ports = [freePort(), freePort()] as const;
  const startAt = (port: number) =>
    startApi({
      databaseUrl: database.url,
      keyFile,
      environment: { PORT: String(port), DRAIN_SECONDS, TRUSTED_PROXIES: "127.0.0.1" },
    });
  const apis = await Promise.all(ports.map(startAt));
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => {
    for (const api of apis) await api[Symbol.asyncDispose]();
  });
  const proxies = {
    nginx: stack.use(await startNginx({ ports, port: freePort(), certificate })),
    caddy: stack.use(await startCaddy({ ports, port: freePort(), certificate })),
  };

  const lot = await firstLot(proxies.nginx, client);
  let isRestarting = true;
  const loads = Object.entries(proxies).map(([proxy, { port }]) => {
    const load: Load = { proxy, requests: 0, stored: [], failures: [] };
    const isNeeded = () => isRestarting || load.requests < MIN_REQUESTS;
    const url = `https://localhost:${port}`;
    return { load, ended: runLoad(load, { url, client, lot, isNeeded }) };
  });
  for (const [i, port] of ports.entries()) {
    await apis[i]?.[Symbol.asyncDispose]();
    apis[i] = await startAt(port);
    await eventually("it is ready", async () => (await apis[i]?.get("/readyz"))?.status === 200);
  }
  isRestarting = false;
  await Promise.all(loads.map(({ ended }) => ended));

  for (const { load } of loads) {
    deepStrictEqual(load.failures, [], `${load.proxy}, of ${load.requests}`);
    ok(load.requests >= MIN_REQUESTS);
  }
  const rows = await database.sql<{ id: string }[]>`select id from qc_decisions`;
  const acknowledged = loads.flatMap(({ load }) => load.stored);
  deepStrictEqual(rows.map(({ id }) => id).sort(), acknowledged.sort());
  strictEqual(await protocolOf(proxies.caddy, authority.cert), "2");
  strictEqual(await protocolOf(proxies.nginx, authority.cert), "2");
});

// Java's HttpClient asks for it with its first request over plain HTTP. Deno's server refuses such a
// request with a body, before Lotline sees it.
Deno.test("behind nginx and Caddy, a request that asks for another protocol is an ordinary one", async () => {
  await using folder = await temporaryFolder();
  const authority = await makeAuthority(folder.path);
  const certificate = await authority.issue({ names: ["DNS:localhost"] });
  await using api = await startApi();
  const apiPort = Number(new URL(api.url).port);
  const ports = [apiPort, apiPort] as const;
  await using nginx = await startNginx({ ports, port: freePort(), certificate });
  await using caddy = await startCaddy({ ports, port: freePort(), certificate });
  for (const protocol of ["h2c", "websocket", "TLS/1.0"]) {
    for (const { port } of [nginx, caddy]) {
      const lot = JSON.stringify({ lot_code: `${protocol}-${port}` });
      strictEqual(await statusOfUpgrade(port, { protocol, body: lot, authority }), "201");
    }
  }
});

/** What curl gets for a new lot over HTTP/1.1 that asks for another protocol. */
async function statusOfUpgrade(
  port: number,
  { protocol, body, authority }: {
    readonly protocol: string;
    readonly body: string;
    readonly authority: { readonly cert: string };
  },
): Promise<string> {
  const headers = ["Content-Type: application/json", "Connection: Upgrade", `Upgrade: ${protocol}`];
  const { stdout } = await new Deno.Command("curl", {
    args: ["-s", "--http1.1", "--cacert", authority.cert, "-o", "/dev/null", "-w", "%{http_code}"]
      .concat(headers.flatMap((header) => ["-H", header]))
      .concat("-d", body, `https://localhost:${port}/api/lots`),
  }).output();
  return new TextDecoder().decode(stdout);
}

async function firstLot({ port }: Proxy, client: Deno.HttpClient): Promise<string> {
  const response = await fetch(`https://localhost:${port}/api/lots`, {
    client,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ lot_code: "ROLLING-1" }),
  });
  const { id } = await response.json();
  return id;
}

/** Reads and writes, as many at once as {@link AT_ONCE}. */
async function runLoad(
  load: Load,
  { url, client, lot, isNeeded }: {
    readonly url: string;
    readonly client: Deno.HttpClient;
    readonly lot: string;
    isNeeded(): boolean;
  },
): Promise<void> {
  const write = async () => {
    const response = await fetch(`${url}/api/qc-decisions`, {
      client,
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID() },
      body: JSON.stringify({ lot_id: lot, decision: "PASS" }),
    });
    const text = await response.text();
    if (response.status === 201) load.stored.push(JSON.parse(text).id);
    else load.failures.push(`POST: ${response.status} ${text.slice(0, 100)}`);
  };
  const read = async () => {
    const response = await fetch(`${url}/api/traceability/ROLLING-1`, { client });
    const text = await response.text();
    if (response.status !== 200) {
      load.failures.push(`GET: ${response.status} ${text.slice(0, 100)}`);
    }
  };
  const worker = async () => {
    while (isNeeded()) {
      const send = load.requests++ % 4 === 0 ? write : read;
      await send().catch((error) => load.failures.push(String(error)));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** The version of HTTP that curl and the proxy agree on. */
async function protocolOf({ port }: Proxy, authority: string): Promise<string> {
  const { stdout } = await new Deno.Command("curl", {
    args: ["-s", "--cacert", authority, "-o", "/dev/null", "-w", "%{http_version}"]
      .concat(`https://localhost:${port}/livez`),
  }).output();
  return new TextDecoder().decode(stdout);
}
