import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type LinkDirection, readLargeTrace } from "../db/large_trace.ts";
import type { Session } from "../db/session.ts";

/** Bounds of a one-hop trace. */
export interface LargeTraceBounds {
  /** Parents and children together. */
  readonly maxLinks: number;
  readonly maxBytes: number;
}

/** A serialized trace in blocks, as {@link readLargeTrace} delivers them. */
export interface LargeBody {
  readonly kind: "body";
  readonly etag: string;
  readonly bytes: number;
  readonly blocks: readonly Uint8Array<ArrayBuffer>[];
}

export type LargeTraceResult = LargeBody | { readonly kind: "missing" | "too_large" };

export class TooManyBytesError extends Error {
  override name = "TooManyBytesError";
}

/**
 * Serializes a one-hop trace slice by slice, never as a whole. After a failure the session must be
 * closed.
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
  if (outcome !== "read") return { kind: outcome };
  add(`${turnTo("children")}]}`);
  // The algorithm of the package `etag`, which takes a whole body only.
  const etag = `W/"${bytes.toString(16)}-${hash.digest("base64").slice(0, 27)}"`;
  return { kind: "body", etag, bytes, blocks };
}

export function textOf({ blocks }: LargeBody): string {
  return Buffer.concat(blocks).toString();
}
