import { Buffer } from "node:buffer";
import { isObject, parseJson } from "../../json.ts";
import type { CanaryBy } from "../config.ts";
import type { Mode, Upstream } from "../exchange/route.ts";

/** Clients are spread over so many buckets; a canary takes the first of them. */
export const BUCKETS = 10_000;

/** Longer tokens than this aren't looked into. */
const MAX_TOKEN_CHARACTERS = 4_096;

/** The side that answers the clients of a bucket, from 0 to {@link BUCKETS} - 1. */
export function chooseUpstream(mode: Mode, bucket: number): Upstream {
  if (mode.name === "service") return "service";
  if (mode.name !== "canary") return "legacy";
  return bucket < mode.percent * (BUCKETS / 100) ? "service" : "legacy";
}

/** What a request says about its client. */
export interface ClientTraits {
  /** The value of `Authorization`, if there is one. */
  readonly authorization: string | undefined;
  readonly address: string;
  /** The first value of a header, by its name in lower case. */
  readonly header: (name: string) => string | undefined;
  /** Whether the request may go to either side without its client noticing: it stores nothing. */
  readonly isSafe: boolean;
}

/**
 * The bucket that a request counts for, by what the operator chose to tell clients apart. A client
 * without the chosen header goes by its account or address.
 */
export function bucketBy(by: CanaryBy, traits: ClientTraits): number {
  if (by === "request" && traits.isSafe) return Math.floor(Math.random() * BUCKETS);
  if (by === "address") return bucketOf(undefined, traits.address);
  const value = typeof by === "object" ? traits.header(by.header) : undefined;
  return value === undefined
    ? bucketOf(traits.authorization, traits.address)
    : hash(`header ${value}`) % BUCKETS;
}

/**
 * The bucket of a client: always the same for the same user or, without a token, for the same
 * address. It is one for all operations, so that a client reads on the side on which it writes.
 *
 * @param authorization the value of `Authorization`, if there is one
 */
export function bucketOf(authorization: string | undefined, address: string): number {
  const subject = subjectOf(authorization);
  return hash(subject === undefined ? `address ${address}` : `user ${subject}`) % BUCKETS;
}

/**
 * Who a bearer token says it is of. Nothing is verified: whoever makes up a subject has chosen a
 * bucket, which is no more than a client with many addresses can do.
 */
function subjectOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > MAX_TOKEN_CHARACTERS) return undefined;
  const payload = /^bearer +[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(authorization)?.[1];
  if (payload === undefined) return undefined;
  const claims = parseJson(Buffer.from(payload, "base64url").toString());
  return isObject(claims) && typeof claims.sub === "string" ? claims.sub : undefined;
}

/** FNV-1a, with the last step of MurmurHash3 so that every bit depends on every letter. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
