import type net from "node:net";
import { errorResponseBytes, type ErrorResponseStatus } from "./error_response.ts";

/** A connection that is closed is read for so long after the last byte that came on it. */
const CLOSING_MS = 1_000;
/** So many times, whatever comes. */
const MAX_TURNS = 10;

/**
 * Says why, and closes the connection when the client has had time to read it. Closed at once, with
 * something unread, it would be reset, and the client might never see the reason.
 */
export function endWith(socket: net.Socket, status: ErrorResponseStatus, sentence: string): void {
  socket.write(errorResponseBytes(status, sentence));
  endGently(socket);
}

/**
 * Lets the server end a connection like that when the last answer on it is written.
 *
 * @param isRead whether what else comes is read, and thrown away
 */
export function willEndGently(socket: net.Socket, isRead = true): void {
  if (!isRead) socket.pause();
  socket.destroySoon = () => endGently(socket, isRead);
}

function endGently(socket: net.Socket, isRead = true): void {
  // The server listens no longer to a connection that it has handed over.
  socket.on("error", ignore);
  socket.end();
  let bytesRead = socket.bytesRead;
  let turns = 0;
  const timer = setInterval(() => {
    if (socket.bytesRead === bytesRead || ++turns === MAX_TURNS) socket.destroy();
    bytesRead = socket.bytesRead;
  }, CLOSING_MS);
  socket.once("close", () => clearInterval(timer));
  if (isRead) socket.resume();
}

const ignore = () => {};
