import { createServer, type IncomingMessage, type Server } from "node:http";
import net from "node:net";

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

/** A server whose answers a test writes. */
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

/** A server that does to each connection what a test says. */
export async function startSocketServer(
  onSocket: (socket: net.Socket) => void,
): Promise<TestServer> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A server that takes connections and says nothing. */
export function startBlackHole(): Promise<TestServer> {
  return startSocketServer(() => {});
}

/** The address of a server that was there a moment ago. */
export async function addressOfNobody(): Promise<string> {
  const server = await startBlackHole();
  await server[Symbol.asyncDispose]();
  return server.url;
}
