import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type LinkDirection, readLargeTrace } from "../db/large_trace.ts";
import type { Session } from "../db/session.ts";

/** How large the answer of a one-hop trace may be. */
export interface LargeTraceBounds {
  /** The most links of the lot, both sides together. */
  readonly maxLinks: number;
  /** The most bytes of the answer. */
  readonly maxBytes: number;
}

/** A finished answer in blocks, as one goes through the wire. */
export interface LargeBody {
  readonly kind: "body";
  /** As `finish` of http/response.ts would make it of the whole. */
  readonly etag: string;
  readonly bytes: number;
  readonly blocks: readonly Uint8Array<ArrayBuffer>[];
}

/** What came of making an answer. */
export type LargeTraceResult = LargeBody | { readonly kind: "missing" | "too_large" };

/** Thrown to stop the reading of an answer that is too large. */
export class TooManyBytesError extends Error {
  override name = "TooManyBytesError";
}

/**
 * Makes the answer of a one-hop trace, slice by slice: nothing is ever made of the whole. When it
 * fails, the session is to be closed.
 *
 * @throws {TooManyBytesError}
 */
export async function makeLargeBody(
  session: Session,
  lotCode: string,
  { maxLinks, maxBytes }: LargeTraceBounds,
): Promise<LargeTraceResult> {
  const blocks: Uint8Array<ArrayBuffer>[] = [];
  const hash = createHash("sha1");
  const encoder = new TextEncoder();
  let bytes = 0;
  const add = (text: string): number => {
    const block = encoder.encode(text);
    bytes += block.length;
    if (bytes > maxBytes) throw new TooManyBytesError();
    blocks.push(block);
    hash.update(block);
    return block.length;
  };
  let open: LinkDirection = "parents";
  let isFirst = true;
  const turnTo = (direction: LinkDirection): string => {
    if (open === direction) return "";
    open = direction;
    isFirst = true;
    return '],"children":[';
  };
  const outcome = await readLargeTrace(session, lotCode, maxLinks, {
    central(lot) {
      add(`{"central":${JSON.stringify(lot)},"parents":[`);
    },
    slice(direction, lots) {
      const before = `${turnTo(direction)}${isFirst ? "" : ","}`;
      isFirst = false;
      return add(before + JSON.stringify(lots).slice(1, -1));
    },
  });
  if (outcome !== "read") return { kind: outcome === "missing" ? "missing" : "too_large" };
  add(`${turnTo("children")}]}`);
  // The rules of the package `etag`, which takes a body only as a whole.
  const etag = `W/"${bytes.toString(16)}-${hash.digest("base64").slice(0, 27)}"`;
  return { kind: "body", etag, bytes, blocks };
}

/** The body as one text. */
export function textOf({ blocks }: LargeBody): string {
  return Buffer.concat(blocks).toString();
}
