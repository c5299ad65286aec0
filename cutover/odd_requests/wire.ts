import { Buffer } from "node:buffer";
import { ResponseParser } from "../upstream/response_parser.ts";
import type { CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import { withDeadline } from "../../testing/eventually.ts";
import type { WireRequest } from "./draft.ts";

/** The bytes of a request. */
export function bytesOnWire({ lines, body, framing }: WireRequest): Uint8Array {
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  if (framing.kind === "none") return head;
  if (framing.kind === "length") return Buffer.concat([head, body]);
  const parts: Uint8Array[] = [head];
  for (let at = 0; at < body.length; at += framing.size) {
    const chunk = body.subarray(at, at + framing.size);
    const size = `${chunk.length.toString(16)}${framing.extension}\r\n`;
    parts.push(Buffer.from(size, "latin1"), chunk, Buffer.from("\r\n"));
  }
  const trailers = framing.trailers.map((line) => `${line}\r\n`).join("");
  parts.push(Buffer.from(`0${framing.extension}\r\n${trailers}\r\n`, "latin1"));
  return Buffer.concat(parts);
}

/** Longer than any response takes on a busy machine. */
const RESPONSE = { seconds: 60 };

/**
 * Sends a request on a new connection; undefined: it ended without a complete response.
 *
 * It deliberately doesn't use the cutover's client, which writes neither malformed heads nor
 * ambiguous framing. These are sent here.
 */
export async function sendOnWire(
  port: number,
  request: WireRequest,
): Promise<CapturedResponse | undefined> {
  const began = performance.now();
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  let head: { readonly status: number; readonly headers: HeaderLines } | undefined;
  const parts: Uint8Array[] = [];
  const parser = new ResponseParser(request.method, {
    interim: () => {},
    head: ({ status, headers }) => head = { status, headers: linesOf(headers) },
    data: (chunk) => parts.push(chunk.slice()),
    end: (last) => last !== undefined && parts.push(last.slice()),
  });
  const exchange = async () => {
    const writing = writeAll(connection, bytesOnWire(request));
    const buffer = new Uint8Array(65_536);
    while (!parser.isDone) {
      const read = await connection.read(buffer);
      if (read === null) break;
      parser.push(Buffer.from(buffer.slice(0, read)));
    }
    if (!parser.isDone) parser.finish();
    await writing;
  };
  try {
    await withDeadline("the response comes", exchange(), RESPONSE);
  } catch (error) {
    if (!parser.isDone) {
      if (error instanceof Error && error.message.includes("the response comes")) throw error;
      return undefined;
    }
  }
  return head && { ...head, body: Buffer.concat(parts), ms: performance.now() - began };
}

/** A server that refuses early may close before it has read everything. */
async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  } catch {
    // Only its response counts.
  }
}

function linesOf(headers: readonly string[]): HeaderLines {
  const lines: [string, string][] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    lines.push([headers[at] ?? "", headers[at + 1] ?? ""]);
  }
  return lines;
}

/** The most bytes of a request's body that are shown. */
const SHOWN_BYTES = 600;

/** A request as a shell command. */
export function commandOf(request: WireRequest): string {
  const bytes = bytesOnWire(request);
  let shown = "";
  const limit = bytes.length - request.body.length + SHOWN_BYTES;
  for (const byte of bytes.subarray(0, limit)) {
    shown += byte === 13
      ? "\\r"
      : byte === 10
      ? "\\n"
      : byte === 92
      ? "\\\\"
      : byte === 39
      ? "\\x27"
      : byte === 37
      ? "%%"
      : byte >= 32 && byte < 127
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  const rest = bytes.length > limit ? ` # and ${bytes.length - limit} bytes more` : "";
  return `printf '${shown}' | nc -q 2 127.0.0.1 8080${rest}`;
}
