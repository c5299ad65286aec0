import { Buffer } from "node:buffer";
import net from "node:net";
import { withDeadline } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";

/** How a client ends its connection: a close, a close of only its own direction, or a reset. */
type Leaving = "closes" | "half-closes" | "resets";

/** A client that sends its pieces and leaves. */
export interface LeavingClient {
  /** What it writes, one piece after the other, as Latin-1. */
  readonly pieces: readonly string[];
  readonly leaving: Leaving;
  /** How long it stays after its last piece, in ms. */
  readonly afterMs?: number;
  /** What it sends before, on the same connection; it continues after the response to that. */
  readonly first?: string;
  /** It waits for this after it is connected, and `first` answered. */
  readonly ready?: () => Promise<void>;
  /** It sends its second piece after a 100 response. */
  readonly waitsFor100?: boolean;
}

/** Longer than any response takes on a busy machine. */
const WAIT = { seconds: 60 };

/**
 * Sends all pieces and leaves.
 *
 * @returns what came back after the response to `first`, as Latin-1. One that half-closes reads to
 * the end, the others read nothing after they have left
 */
export async function leave(port: number, client: LeavingClient): Promise<string> {
  const { pieces, leaving, afterMs = 0, first, waitsFor100 = false } = client;
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  let received = "";
  let wake = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
    wake.resolve();
  });
  socket.on("error", () => {});
  for (const event of ["end", "close"] as const) {
    socket.on(event, () => {
      ended.resolve();
      wake.resolve();
    });
  }
  const until = async (what: string, fits: (text: string) => boolean) => {
    while (!fits(received)) {
      if (socket.destroyed || socket.readableEnded) throw new Error(`no ${what}: ${received}`);
      await withDeadline(what, wake.promise, WAIT);
      wake = Promise.withResolvers();
    }
  };
  const write = (text: string) =>
    // The system has accepted it when this resolves, even if the connection then ends.
    new Promise<void>((resolve) => socket.write(Buffer.from(text, "latin1"), () => resolve()));
  try {
    if (first !== undefined) {
      await write(first);
      await until("first response", isWholeResponse);
      received = "";
    }
    await client.ready?.();
    for (const [number, piece] of pieces.entries()) {
      await write(piece);
      if (waitsFor100 && number === 0) {
        await until("word to go on", (text) => text.startsWith("HTTP/1.1 100 "));
        received = "";
      }
    }
    if (afterMs > 0) await delay(afterMs);
    if (leaving === "resets") socket.resetAndDestroy();
    else if (leaving === "half-closes") {
      socket.end();
      await withDeadline("the server closes its side", ended.promise, WAIT);
    }
    return received;
  } finally {
    socket.destroy();
  }
}

/** Whether a text starts with a response that has its length and all of its body. */
function isWholeResponse(text: string): boolean {
  const head = text.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
  return head !== -1 && length !== undefined && text.length >= head + 4 + Number(length);
}

/** Resolves when a server has accepted and read everything sent before. */
export async function served(url: string): Promise<void> {
  for (let times = 0; times < 20; times++) {
    const response = await fetch(`${url}/api/health`);
    await response.body?.cancel();
  }
}
