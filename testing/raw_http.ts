import net from "node:net";

/** The response over a socket. */
export interface RawReply {
  /** 0 when the connection ended without a response. */
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Words from inside the service or PostgreSQL: no response may contain them. */
export const INTERNAL_WORDS =
  /syntax error|violates|relation "|column "|SQLSTATE|PostgresError|\bat .*\.ts|node_modules/i;

/** The statuses of all responses in what a connection received. */
export function statusesIn(received: string): string[] {
  return received.match(/HTTP\/1\.1 \d+/g)?.map((line) => line.slice(9)) ?? [];
}

/** Text as UTF-8. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/**
 * The bytes of a request exactly as written here: HTTP clients would correct the faults that a test
 * sends.
 */
export function rawRequest(
  line: string,
  headers = "",
  body: string | Uint8Array = "",
): Uint8Array {
  const bytes = typeof body === "string" ? bytesOf(body) : body;
  const length = bytes.length > 0 ? `Content-Length: ${bytes.length}\r\n` : "";
  const head = bytesOf(
    `${line} HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n${headers}${length}\r\n`,
  );
  return new Uint8Array([...head, ...bytes]);
}

const SILENCE_MS = 60_000;

/**
 * Sends bytes to a port of this machine and reads until the connection ends, or is idle for a
 * minute.
 */
export function sendRaw(port: number, bytes: string | Uint8Array): Promise<RawReply> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes));
    const finish = () => {
      const [head = "", body = ""] = new TextDecoder().decode(
        new Uint8Array(chunks.flatMap((chunk) => [...chunk])),
      ).split("\r\n\r\n", 2);
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), head, body });
    };
    socket.on("data", (chunk) => chunks.push(typeof chunk === "string" ? bytesOf(chunk) : chunk));
    // A server that refuses before it has read everything may reset the connection after its
    // response.
    socket.on("error", () => {});
    socket.on("close", finish);
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
  });
}
