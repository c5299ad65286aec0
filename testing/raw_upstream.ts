import { Buffer } from "node:buffer";
import net from "node:net";
import { listen } from "./test_server.ts";

/** Handles one request; `count` is its number, from 1. */
export type RawResponse = (socket: net.Socket, request: string, count: number) => void;

/** A server whose responses a test writes byte for byte. */
export interface RawUpstream extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Every complete request, byte for byte, as Latin-1. */
  readonly requests: string[];
  /** How many connections were opened to it. */
  connections(): number;
  /** How many of them are open. */
  open(): number;
  /** Everything received, complete requests or not, as Latin-1. */
  received(): string;
}

/**
 * Starts a server with this handler for each complete request; a text is sent as it is, in Latin-1.
 */
export async function startRawUpstream(response: string | RawResponse): Promise<RawUpstream> {
  const requests: string[] = [];
  const sockets = new Set<net.Socket>();
  let connections = 0;
  let received = "";
  const server = net.createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let held = "";
    socket.on("data", (bytes: Buffer) => {
      const text = bytes.toString("latin1");
      received += text;
      held += text;
      for (let length = wholeLength(held); length !== undefined; length = wholeLength(held)) {
        const request = held.slice(0, length);
        held = held.slice(length);
        requests.push(request);
        if (typeof response === "string") socket.write(response, "latin1");
        else response(socket, request, requests.length);
      }
    });
  });
  const port = await listen(server);
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests,
    connections: () => connections,
    open: () => sockets.size,
    received: () => received,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A response with a body and its length. */
export function rawResponse(status: string, body = "", headers = ""): string {
  return `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** The length of the first request of a text, if it is complete. */
function wholeLength(text: string): number | undefined {
  const head = text.indexOf("\r\n\r\n") + 4;
  if (head === 3) return undefined;
  const length = /^content-length: (\d+)\r$/im.exec(text.slice(0, head))?.[1];
  if (length !== undefined) {
    return text.length >= head + Number(length) ? head + Number(length) : undefined;
  }
  if (!/^transfer-encoding: chunked\r$/im.test(text.slice(0, head))) return head;
  const end = text.indexOf("0\r\n\r\n", head);
  return end === -1 ? undefined : end + 5;
}
