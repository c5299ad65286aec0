import type { Buffer } from "node:buffer";
import type net from "node:net";
import { Duplex } from "node:stream";

/*
 * A socket between the network and its user, postgres.js. What arrives is an event (`data`, `error`,
 * `close`), so the holder of the events decides what the user gets.
 */

interface Holder {
  /** @param pass gives bytes to the user */
  readonly onData: (chunk: Buffer, pass: (bytes: Buffer) => void) => void;
  /** The user gets neither the error nor, unless it is passed on, the data; it gets `close`. */
  readonly onError: (error: unknown) => void;
}

/** Holds a socket's events until the returned function is called; from then on it costs nothing. */
export function hold(socket: net.Socket, { onData, onError }: Holder): () => void {
  const emit: (event: string | symbol, ...values: unknown[]) => boolean = socket.emit;
  const pass = (bytes: Buffer) => void emit.call(socket, "data", bytes);
  const held = (event: string | symbol, ...values: unknown[]): boolean => {
    if (event === "data") onData(values[0] as Buffer, pass);
    else if (event === "error") onError(values[0]);
    else return emit.call(socket, event, ...values);
    return true;
  };
  socket.emit = held as typeof socket.emit;
  return () => {
    socket.emit = emit as typeof socket.emit;
  };
}

/**
 * Ends a connection for its user at once. TLS over a dead network may never say that it has ended.
 *
 * @param error for the statements that wait
 */
export function cut(
  { socket, destroy }: { readonly socket: net.Socket; readonly destroy: () => void },
  error?: Error,
): void {
  if (error !== undefined) socket.emit("error", error);
  const timer = setTimeout(() => socket.emit("close", error !== undefined), 0);
  socket.once("close", () => {
    clearTimeout(timer);
    // The user has removed all listeners, and an error without one would end the process.
    socket.on("error", () => {});
  });
  destroy();
}

/** A socket that fails at its first message. postgres.js would keep a connection without a socket. */
export function failingSocket(error: Error): Duplex {
  return new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(error),
  });
}
