import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import type net from "node:net";
import { headText } from "../exchange/response_head.ts";
import type { Failure } from "../upstream/connection.ts";

const REASONS = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
} as const;

/** The gateway's own response to a client; the sentence says why. */
export type ErrorResponse = readonly [status: keyof typeof REASONS, sentence: string];

const NO_SERVER: ErrorResponse = [502, "No answer from the server behind this one"];

/** The same when an upstream's response can't be passed on, and nothing of it was sent. */
export const BROKEN_RESPONSE: ErrorResponse = [
  502,
  "The answer of the server behind this one is broken",
];

/** The responses to requests that a stopping gateway doesn't finish: no upstream has them, or one has. */
export const STOPPING: ErrorResponse = [503, "This gateway stops, send the request again"];
export const STOPPED: ErrorResponse = [504, "No answer before this gateway stopped"];

/** The response to a client whose request got no response from an upstream. */
export const NO_RESPONSE: Readonly<Record<Failure["kind"], ErrorResponse>> = {
  refused: NO_SERVER,
  reset: NO_SERVER,
  broken: NO_SERVER,
  busy: [503, "Too busy, try again soon"],
  timeout: [504, "No answer in time"],
};

/**
 * A JSON error as both upstreams send it; `headers` are names and values in turn. Any origin may read
 * it, as with the old server.
 */
export function errorResponse([status, sentence]: ErrorResponse, requestId?: string) {
  const body = Buffer.from(JSON.stringify({ error: sentence }));
  const headers = [
    ["Content-Type", "application/json; charset=utf-8"],
    ["Content-Length", String(body.length)],
    ["Access-Control-Allow-Origin", "*"],
    ["Access-Control-Expose-Headers", "Retry-After, X-Request-Id"],
  ].flat();
  if (status === 503) headers.push("Retry-After", "1");
  if (requestId !== undefined) headers.push("X-Request-Id", requestId);
  return { status, reason: REASONS[status], headers, body };
}

/** A closing connection is read until no byte has arrived for this long. */
const LINGER_MS = 1_000;
const MAX_TURNS = 10;

/**
 * Sends a response and closes the connection when the client has had time to read it. Closed at once
 * with unread bytes it would be reset, and the client might never see the response.
 */
export function respondAndClose(socket: net.Socket, error: ErrorResponse): void {
  const { status, reason, headers, body } = errorResponse(error);
  const head = headText(`HTTP/1.1 ${status} ${reason}`, [...headers, "Connection", "close"]);
  socket.write(Buffer.concat([Buffer.from(head, "latin1"), body]));
  linger(socket);
}

/**
 * Lets the server close a connection in this way after the last response on it.
 *
 * @param isRead whether further bytes are read and dropped
 */
export function closeGracefully(socket: net.Socket, isRead = true): void {
  if (!isRead) socket.pause();
  socket.destroySoon = () => linger(socket, isRead);
}

function linger(socket: net.Socket, isRead = true): void {
  // The server no longer handles errors of a connection that it has handed over.
  socket.on("error", () => {});
  socket.end();
  let bytesRead = socket.bytesRead;
  let turns = 0;
  const timer = setInterval(() => {
    if (socket.bytesRead === bytesRead || ++turns === MAX_TURNS) socket.destroy();
    bytesRead = socket.bytesRead;
  }, LINGER_MS);
  socket.once("close", () => clearInterval(timer));
  if (isRead) socket.resume();
}

/** With a head this is less than the 16 kB of text that Deno's sockets write at once. */
const WRITTEN_AT_ONCE_BYTES = 12_000;

/**
 * Ends the response. A short last part is written as Latin-1 text, in one write with the head. With
 * bytes Node makes two writes and waits for them, which costs three times as much and keeps the memory
 * of the upstream's bytes until the next major collection.
 */
export function endResponse(response: ServerResponse, last: Uint8Array | undefined): void {
  if (last === undefined || last.length > WRITTEN_AT_ONCE_BYTES) {
    response.end(last);
    return;
  }
  response.write(
    Buffer.from(last.buffer, last.byteOffset, last.length).toString("latin1"),
    "latin1",
  );
  // Otherwise it waits for more until the next tick.
  response.socket?.uncork();
  response.end();
}
