import type { Buffer } from "node:buffer";
import net from "node:net";
import { withDeadline } from "./eventually.ts";

/** A connection that a test writes to and reads from byte by byte. */
export interface RawClient extends Disposable {
  readonly socket: net.Socket;
  write(text: string): void;
  /** Everything received so far, as Latin-1. */
  readonly received: () => string;
  /** Resolves with everything received when the connection has ended, by a reset as well. */
  readonly ended: Promise<string>;
  /** Whether it was reset instead of being ended. */
  readonly wasReset: () => boolean;
  /** Resolves with everything received as soon as it matches. */
  until(fits: (received: string) => boolean): Promise<string>;
}

/** A long response to a slow reader is slow on a busy machine. */
const WAIT = { seconds: 60 };

/** Connects to a port of this machine; text is sent as Latin-1. */
export function openRawClient(port: number, first = ""): RawClient {
  const socket = net.connect(port, "127.0.0.1");
  let received = "";
  let wasReset = false;
  let wake = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  let isOver = false;
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
    wake.resolve();
  });
  socket.on("error", () => {
    wasReset = true;
  });
  socket.on("close", () => {
    isOver = true;
    wake.resolve();
    ended.resolve(received);
  });
  socket.write(first, "latin1");
  return {
    socket,
    write: (text) => socket.write(text, "latin1"),
    received: () => received,
    get ended() {
      return withDeadline("the connection ends", ended.promise, WAIT);
    },
    wasReset: () => wasReset,
    until: async (fits) => {
      while (!fits(received)) {
        if (isOver) throw new Error(`the connection ended with ${JSON.stringify(received)}`);
        await withDeadline("more comes on the connection", wake.promise, WAIT);
        wake = Promise.withResolvers();
      }
      return received;
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}
