import { Buffer } from "node:buffer";
import { isObject, parseJson } from "../../json.ts";
import type { CanaryBy } from "../config.ts";
import type { Mode, Upstream } from "../exchange/route.ts";

/** The number of buckets of clients; a canary moves the first of them. */
export const BUCKETS = 10_000;

/** Longer tokens aren't parsed. */
const MAX_TOKEN_CHARACTERS = 4_096;

/** The upstream for the clients of a bucket, from 0 to {@link BUCKETS} - 1. */
export function chooseUpstream(mode: Mode, bucket: number): Upstream {
  if (mode.name === "service") return "service";
  if (mode.name !== "canary") return "legacy";
  return bucket < mode.percent * (BUCKETS / 100) ? "service" : "legacy";
}

export interface ClientTraits {
  readonly authorization: string | undefined;
  readonly address: string;
  /** @param name in lower case */
  readonly header: (name: string) => string | undefined;
  /** Whether the request stores nothing, so that either upstream may get it. */
  readonly isSafe: boolean;
}

/** The bucket of a request by the operator's setting. Without the chosen header, the account counts. */
export function bucketBy(by: CanaryBy, traits: ClientTraits): number {
  if (by === "request" && traits.isSafe) return Math.floor(Math.random() * BUCKETS);
  if (by === "address") return bucketOf(undefined, traits.address);
  const value = typeof by === "object" ? traits.header(by.header) : undefined;
  return value === undefined
    ? bucketOf(traits.authorization, traits.address)
    : hash(`header ${value}`) % BUCKETS;
}

/**
 * The bucket of a user or, without a token, of an address. It is the same for all operations, so that a
 * client reads from the upstream to which it writes.
 */
export function bucketOf(authorization: string | undefined, address: string): number {
  const subject = subjectOf(authorization);
  return hash(subject === undefined ? `address ${address}` : `user ${subject}`) % BUCKETS;
}

/**
 * The subject of a bearer token, unverified: a client that invents one chooses its bucket, as a client
 * with many addresses can.
 */
function subjectOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > MAX_TOKEN_CHARACTERS) return undefined;
  const payload = /^bearer +[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(authorization)?.[1];
  if (payload === undefined) return undefined;
  const claims = parseJson(Buffer.from(payload, "base64url").toString());
  return isObject(claims) && typeof claims.sub === "string" ? claims.sub : undefined;
}

/** FNV-1a, with the last step of MurmurHash3 so that every bit depends on every character. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/**
 * A set of clients by bucket, one bit each, as PostgreSQL's `bit(10000)`. Clients that share a bucket
 * count as one, so the memory is constant.
 */
export class ClientSet {
  readonly #bits = new Uint8Array(BUCKETS / 8);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(bucket: number): void {
    const at = bucket >> 3;
    const bit = 0x80 >> (bucket & 7);
    const before = this.#bits[at] ?? 0;
    if ((before & bit) !== 0) return;
    this.#bits[at] = before | bit;
    this.#size++;
  }

  /** Four buckets a digit, the first bucket first. */
  toHex(): string {
    return Buffer.from(this.#bits).toString("hex");
  }
}
