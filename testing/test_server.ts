import type { Server } from "node:http";

/** A server of a test's own on a free port of this machine. */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
}

/** Lets a server listen; disposing ends its connections too, then does what `end` says. */
export async function startTestServer(
  server: Server,
  end: () => void = () => {},
): Promise<TestServer> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      end();
    },
  };
}
