import { match, ok, rejects, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { eventually, withDeadline } from "../testing/eventually.ts";
import { delay } from "../timing.ts";
import { serverUser } from "./state_folder.ts";
import { isRunning } from "./tied_process.ts";
import { startValkey, type ValkeyOptions, type ValkeyServer } from "./valkey.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

async function started(options: ValkeyOptions): Promise<ValkeyServer> {
  const said: string[] = [];
  const server = await startValkey({ progress: (line) => said.push(line), ...options });
  ok(server, `this test needs a Valkey or Redis server: ${said.join(" ")}`);
  return server;
}

const clientOf = (url: string) => createClient({ url, socket: { reconnectStrategy: false } });

async function connected<T>(
  { url }: ValkeyServer,
  use: (client: ReturnType<typeof clientOf>) => Promise<T>,
): Promise<T> {
  const client = clientOf(url);
  client.on("error", () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}

Deno.test("a server starts on a free port, responds, and loses its data at a restart", async () => {
  await using folder = await temporaryFolder();
  await using server = await started({ dir: `${folder.path}/valkey` });
  strictEqual(server.url, `redis://127.0.0.1:${server.port}`);
  await connected(server, async (client) => {
    strictEqual(await client.ping(), "PONG");
    await client.set("key", "value");
  });
  await server.stop();
  await server.start();
  strictEqual(await connected(server, (client) => client.get("key")), null);
});

Deno.test("with persist, the data survives a stop", async () => {
  await using folder = await temporaryFolder();
  await using server = await started({ dir: `${folder.path}/valkey`, persist: true });
  await connected(server, (client) => client.set("key", "value"));
  await server.stop();
  await server.start();
  strictEqual(await connected(server, (client) => client.get("key")), "value");
});

Deno.test("a paused server keeps connections without replies until it is resumed", async () => {
  await using folder = await temporaryFolder();
  await using server = await started({ dir: `${folder.path}/valkey` });
  await connected(server, async (client) => {
    server.pause();
    let responded = false;
    const response = client.ping().then((text) => {
      responded = true;
      return text;
    });
    await delay(300);
    strictEqual(responded, false);
    server.resume();
    strictEqual(await response, "PONG");
  });
});

Deno.test("a paused server can be stopped, a killed one restarted on its port", async () => {
  await using folder = await temporaryFolder();
  await using server = await started({ dir: `${folder.path}/valkey` });
  const { port } = server;
  server.pause();
  await server.stop();
  await server.start();
  await server.kill();
  await server.start();
  strictEqual(server.port, port);
  strictEqual(await connected(server, (client) => client.ping()), "PONG");
});

Deno.test("a given port that is taken is named", async () => {
  await using folder = await temporaryFolder();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await rejects(started({ dir: `${folder.path}/v`, port }), new RegExp(`Port ${port} is in use`));
});

Deno.test("a server that an earlier run left behind is stopped", async () => {
  await using folder = await temporaryFolder();
  const dir = `${folder.path}/valkey`;
  const earlier = await started({ dir });
  await earlier.stop();
  const user = serverUser();
  const leftOver = new Deno.Command(earlier.program, {
    args: ["--bind", "127.0.0.1", "--port", String(earlier.port), "--dir", dir, "--save", ""]
      .concat("--pidfile", `${dir}/server.pid`),
    stdin: "null",
    stdout: "null",
    stderr: "null",
    // The project's folder may be closed to that user.
    cwd: "/",
    ...(user && { uid: user.uid, gid: user.gid }),
  }).spawn();
  await eventually("the left-over server has started", () => {
    ok(isRunning(leftOver.pid), "the left-over server did not start");
    return Deno.stat(`${dir}/server.pid`).then(() => true, () => false);
  });
  const said: string[] = [];
  await using server = await started({ dir, progress: (line) => said.push(line) });
  await withDeadline("it has ended", leftOver.status);
  match(said.join("\n"), new RegExp(`left behind \\(process ${leftOver.pid}\\)`));
  strictEqual(await connected(server, (client) => client.ping()), "PONG");
});
