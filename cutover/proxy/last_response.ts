import type net from "node:net";
import { errorResponseBytes, type ErrorResponseStatus } from "./error_response.ts";

/** A closing connection is read until no byte has arrived for this long. */
const LINGER_MS = 1_000;
const MAX_TURNS = 10;

/**
 * Sends a response and closes the connection when the client has had time to read it. Closed at once
 * with unread bytes it would be reset, and the client might never see the response.
 */
export function respondAndClose(
  socket: net.Socket,
  status: ErrorResponseStatus,
  sentence: string,
): void {
  socket.write(errorResponseBytes(status, sentence));
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
