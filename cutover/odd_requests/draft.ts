import type { LegacyOperation } from "../exchange/operations.ts";

/** How the body's length is announced. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length" }
  | {
    readonly kind: "chunked";
    /** Bytes in each chunk. */
    readonly size: number;
    /** The extension after each chunk's size, such as `;a=b`. */
    readonly extension: string;
    readonly trailers: readonly string[];
  };

/**
 * A request that mutations change, from its fields to its bytes. A later property, if set,
 * overrides the earlier ones.
 */
export interface Draft {
  readonly operation: LegacyOperation;
  method: string;
  target: string;
  version: string;
  /** As written, without the body's framing. */
  headers: [name: string, value: string][];
  /** The fields of the JSON body: key and value, both as JSON text. */
  fields: [key: string, value: string][];
  /** The body as text, in place of the fields. */
  document: string | undefined;
  /** The first function encodes the text, each later one changes the bytes. */
  encoders: ((bytes: Uint8Array) => Uint8Array)[];
  framing: Framing;
}

/** One request as it is sent. */
export interface WireRequest {
  readonly method: string;
  readonly target: string;
  /** The lines of its head, in Latin-1, without the empty one. */
  readonly lines: readonly string[];
  readonly body: Uint8Array;
  readonly framing: Framing;
}

/** The body of a draft, before its framing. */
function bodyOf({ fields, document, encoders }: Draft): Uint8Array {
  const text = document ??
    (fields.length === 0 ? "" : `{${fields.map(([key, value]) => `${key}:${value}`).join(",")}}`);
  let bytes: Uint8Array = new TextEncoder().encode(text);
  for (const encode of encoders) bytes = encode(bytes);
  return bytes;
}

/** The bytes of a draft. */
export function wireRequestOf(draft: Draft): WireRequest {
  // First, since it may add its own headers.
  const body = bodyOf(draft);
  const { method, target, version, headers, framing } = draft;
  const lines = [`${method} ${target} ${version}`];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  const hasLength = headers.some(([name]) => name.trim().toLowerCase() === "content-length");
  if (framing.kind === "length" && !hasLength) lines.push(`Content-Length: ${body.length}`);
  if (framing.kind === "chunked") lines.push("Transfer-Encoding: chunked");
  return { method, target, lines, body, framing };
}

/** Sets a header, or removes it. */
export function setHeader(draft: Draft, name: string, value: string | undefined): void {
  const lower = name.toLowerCase();
  draft.headers = draft.headers.filter(([known]) => known.toLowerCase() !== lower);
  if (value !== undefined) draft.headers.push([name, value]);
}

/** The JSON text of a key. */
export const keyText = (key: string) => JSON.stringify(key);

/** Sets a field's value, in its place if it exists. */
export function setField(draft: Draft, key: string, value: string): void {
  const text = keyText(key);
  const at = draft.fields.findIndex(([known]) => known === text);
  if (at === -1) draft.fields.push([text, value]);
  else draft.fields[at] = [text, value];
}
