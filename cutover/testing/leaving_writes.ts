import type { LeavingClient } from "./leaving_client.ts";

/** A request as a leaving client sends it, without how it leaves. */
export type Sent = Omit<LeavingClient, "leaving" | "afterMs">;

const HEALTH = "GET /api/health HTTP/1.1\r\nHost: plant\r\n\r\n";

function headOf(path: string, lines: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: plant\r\nContent-Type: application/json\r\n${lines}\r\n`;
}

function lengthOf(body: string): string {
  return `Content-Length: ${body.length}\r\n`;
}

const EXPECTS = "Expect: 100-continue\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** How a client may send a write, by a phrase that completes "a write that is sent …". */
export const WAYS_TO_SEND: Readonly<Record<string, (path: string, body: string) => Sent>> = {
  "in one piece": (path, body) => ({ pieces: [headOf(path, lengthOf(body)) + body] }),
  "on a connection in use": (path, body) => ({
    first: HEALTH,
    pieces: [headOf(path, lengthOf(body)) + body],
  }),
  "in several pieces": (path, body) => ({
    pieces: [headOf(path, lengthOf(body)), body.slice(0, 9), body.slice(9)],
  }),
  "in chunks": (path, body) => ({
    pieces: [headOf(path, CHUNKED) + chunk(body.slice(0, 5)) + chunk(body.slice(5)), "0\r\n\r\n"],
  }),
  "without waiting for 100": (path, body) => ({
    pieces: [headOf(path, EXPECTS + lengthOf(body)), body],
  }),
  "after a 100 response": (path, body) => ({
    pieces: [headOf(path, EXPECTS + lengthOf(body)), body],
    waitsFor100: true,
  }),
  "right behind a read": (path, body) => ({
    pieces: [HEALTH + headOf(path, lengthOf(body)) + body],
  }),
  "after a read, in a separate piece": (path, body) => ({
    pieces: [HEALTH, headOf(path, lengthOf(body)) + body],
  }),
};

/** How it may leave, by a phrase that completes "when its client …". */
export const LEAVINGS: Readonly<Record<string, Pick<LeavingClient, "leaving" | "afterMs">>> = {
  "closes at once": { leaving: "closes" },
  "closes after 1 ms": { leaving: "closes", afterMs: 1 },
  "closes after 5 ms": { leaving: "closes", afterMs: 5 },
  "closes after 30 ms": { leaving: "closes", afterMs: 30 },
  "half-closes": { leaving: "half-closes" },
  "resets at once": { leaving: "resets" },
  "resets after 1 ms": { leaving: "resets", afterMs: 1 },
  "resets after 5 ms": { leaving: "resets", afterMs: 5 },
  "resets after 30 ms": { leaving: "resets", afterMs: 30 },
};

/**
 * Whether the gateway may write to a connection that is reset before it has read all of it. Unread
 * bytes are lost then (docs/decisions/0020). A client that closes without having read a response
 * resets its connection as well.
 */
export function mayBeLost(way: string, { leaving }: Pick<LeavingClient, "leaving">): boolean {
  if (way === "after a read, in a separate piece") return leaving !== "half-closes";
  return way === "without waiting for 100" && leaving === "resets";
}
