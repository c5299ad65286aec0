import { Buffer } from "node:buffer";
import { LinkError } from "./link_error.ts";

/*
 * PostgreSQL's messages until a connection is ready.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** A message: its type, its content, and both as they were sent. */
export interface Message {
  readonly type: string;
  readonly content: Buffer;
  readonly bytes: Buffer;
}

/** What libpq accepts of a message before a connection is ready, in bytes. */
const MAX_MESSAGE = 30_000;
/** What all of them may have together. */
const MAX_TOTAL = 65_536;
const HEAD = 5;
/** Authentication, error, notice, parameter, key, ready, version of the protocol. */
const TYPES = "RENSKZv";

const OK = 0;
const CLEARTEXT = 3;
const MD5 = 5;
const SASL = 10;
const SASL_CONTINUE = 11;
const SASL_FINAL = 12;
/** A higher number would keep this process from everything else for a second. */
const MAX_ITERATIONS = 1_000_000;

/** Returns a function that splits what arrives into messages; the rest waits for its end. */
export function createMessageReader(): (chunk: Buffer) => Message[] {
  let rest: Buffer = Buffer.alloc(0);
  let total = 0;
  return (chunk) => {
    total += chunk.length;
    if (total > MAX_TOTAL) throw notPostgres();
    let at = 0;
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const messages: Message[] = [];
    while (at < bytes.length) {
      const type = String.fromCharCode(bytes[at] ?? 0);
      if (!TYPES.includes(type)) throw notPostgres();
      if (bytes.length - at < HEAD) break;
      const length = bytes.readUInt32BE(at + 1);
      if (length < 4 || length > MAX_MESSAGE) throw notPostgres();
      const end = at + 1 + length;
      if (end > bytes.length) break;
      messages.push({
        type,
        content: bytes.subarray(at + HEAD, end),
        bytes: bytes.subarray(at, end),
      });
      at = end;
      // What follows belongs to the driver.
      if (type === "Z") {
        if (at < bytes.length) throw notPostgres();
        break;
      }
    }
    rest = bytes.subarray(at);
    return messages;
  };
}

function notPostgres(): LinkError {
  return new LinkError("not_postgres", "the server doesn't respond as PostgreSQL does");
}

/**
 * Returns a function that checks each message of a login: postgres.js ignores a method that it lacks,
 * and a SCRAM server that doesn't prove itself.
 */
export function createLoginCheck(): (content: Buffer) => void {
  let hasToProve = false;
  return (content) => {
    if (content.length < 4) throw notPostgres();
    const method = content.readUInt32BE(0);
    if (method === OK) {
      if (!hasToProve) return;
      throw new LinkError("auth_method", "the server doesn't prove that it knows the password");
    }
    if (method === SASL) {
      hasToProve = true;
      if (namesIn(content).includes("SCRAM-SHA-256")) return;
    }
    if (method === SASL_CONTINUE && hasToProve) return checkChallenge(content);
    if (method === SASL_FINAL && hasToProve) {
      hasToProve = false;
      return;
    }
    if (method === CLEARTEXT || method === MD5) return;
    throw new LinkError("auth_method", "the server requests a login that Lotline lacks");
  };
}

function namesIn(content: Buffer): string[] {
  return content.toString("latin1", 4).split("\0");
}

/** https://www.rfc-editor.org/rfc/rfc5802#section-7 */
function checkChallenge(content: Buffer): void {
  const parts = content.toString("latin1", 4).split(",");
  const valueOf = (name: string) => parts.find((part) => part.startsWith(name))?.slice(2) ?? "";
  const iterations = Number(valueOf("i="));
  const isValid = valueOf("r=") !== "" && valueOf("s=") !== "" && Number.isInteger(iterations) &&
    iterations >= 1 && iterations <= MAX_ITERATIONS;
  if (!isValid) throw new LinkError("auth_method", "the server's login can't be computed");
}

/** Name and value of a parameter that the server reports. */
export function parameterOf(content: Buffer): readonly [name: string, value: string] {
  const [name = "", value = ""] = content.toString("utf8").split("\0");
  return [name, value];
}

/** The code and the text of an error message. */
export function errorOf(content: Buffer): { readonly code: string; readonly text: string } {
  const fields = content.toString("utf8").split("\0");
  const valueOf = (type: string) => fields.find((field) => field.startsWith(type))?.slice(1) ?? "";
  return { code: valueOf("C"), text: valueOf("M") };
}
