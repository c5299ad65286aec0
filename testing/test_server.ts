import { createServer, type IncomingMessage, type Server } from "node:http";
import net from "node:net";
import { freePort } from "../dev/free_port.ts";

/** A server for one test on a free port of this machine. */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
}

/** Lets a server listen on a free port of this machine; returns the port. */
export async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

/** Starts a server; disposing ends its connections too, then runs `end`. */
export async function startTestServer(
  server: Server,
  end: () => void = () => {},
): Promise<TestServer> {
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      end();
    },
  };
}

/** A server whose responses a test writes. */
export function startResponding(
  response: (
    request: IncomingMessage,
    write: (status: number, body: string, headers?: Record<string, string>) => void,
  ) => void,
): Promise<TestServer> {
  return startTestServer(createServer((incoming, outgoing) => {
    incoming.resume();
    response(incoming, (status, text, headers = {}) => {
      outgoing.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
      outgoing.end(text);
    });
  }));
}

/** A server that runs a test's function on each connection. */
export async function startSocketServer(
  onSocket: (socket: net.Socket) => void,
): Promise<TestServer> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A server that accepts connections and sends nothing. */
export function startBlackHole(): Promise<TestServer> {
  return startSocketServer(() => {});
}

/** An address of this machine at which nothing listens. */
export function unusedAddress(): string {
  return `http://127.0.0.1:${freePort()}`;
}
