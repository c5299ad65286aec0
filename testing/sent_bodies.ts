import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import type { ErrorCode } from "../errors.ts";
import type { Body } from "../http/body.ts";

export const JSON_TYPE = { "content-type": "application/json" };

export const bytesOf = (text: string) => new TextEncoder().encode(text);
const EMAIL = { email: "admin@flowviz.com" };
/** The email in most cases, and their parsed form. */
const TEXT = JSON.stringify(EMAIL);

/** A document of exactly this many bytes, with the email in it. */
export function ofLength(bytes: number): string {
  const filled = (filler: string) => JSON.stringify({ ...EMAIL, filler });
  return filled("x".repeat(bytes - filled("").length));
}

export interface SentBody {
  readonly sent: string | Uint8Array;
  readonly headers?: Record<string, string>;
  /** The parsed body: the object with the email by default. */
  readonly is?: "none" | "other" | { readonly value: unknown };
  /** The error with which it is refused. */
  readonly refused?: ErrorCode;
  /** The old server's status where it differs from ours. */
  readonly old?: number;
}

const type = (contentType: string) => ({ "content-type": contentType });
const encoded = (encoding: string) => ({ ...JSON_TYPE, "content-encoding": encoding });

/** Bodies of a login, and how each is parsed. */
export const BODIES: Record<string, SentBody> = {
  "a JSON object": { sent: TEXT },
  "white space around it": { sent: ` \t\r\n${TEXT} \n` },
  "a BOM in front": { sent: `\ufeff${TEXT}` },
  "two BOMs in front": { sent: `\ufeff\ufeff${TEXT}`, refused: "invalid_json" },
  "nothing but a BOM": { sent: "\ufeff", is: "none" },
  "the same key twice: the last wins": { sent: `{"email":"x",${TEXT.slice(1)}` },
  "a list": { sent: `[${TEXT}]`, is: { value: [EMAIL] } },
  "an empty list": { sent: "[]", is: { value: [] } },
  "no bytes": { sent: "", is: "none" },
  "no bytes and no type": { sent: "", headers: {}, is: "none" },

  "a trailing comma": { sent: '{"email":"x",}', refused: "invalid_json" },
  "single quotes": { sent: "{'email':'x'}", refused: "invalid_json" },
  "a bare key": { sent: "{email:1}", refused: "invalid_json" },
  "half an object": { sent: '{"email":', refused: "invalid_json" },
  "two objects": { sent: `${TEXT}${TEXT}`, refused: "invalid_json" },
  "only white space": { sent: "  ", refused: "invalid_json" },
  "a space that JSON doesn't know": { sent: `\u00a0${TEXT}`, refused: "invalid_json" },
  "a raw line break in text": { sent: '{"email":"a\nb"}', refused: "invalid_json" },
  "NaN": { sent: '{"email":NaN}', refused: "invalid_json" },
  "JSON null": { sent: "null", refused: "invalid_json" },
  "JSON text": { sent: '"x"', refused: "invalid_json" },
  "a JSON number": { sent: "5", refused: "invalid_json" },
  "JSON true": { sent: "true", refused: "invalid_json" },

  "the type in capitals": { sent: TEXT, headers: type("APPLICATION/JSON") },
  "the charset utf-8": { sent: TEXT, headers: type("application/json; charset=utf-8") },
  "the charset in quotes and capitals": {
    sent: TEXT,
    headers: type('application/json;charset="UTF-8"'),
  },
  "another parameter": { sent: TEXT, headers: type("application/json; version=1") },
  "the charset latin1": {
    sent: TEXT,
    headers: type("application/json; charset=iso-8859-1"),
    refused: "unsupported_media_type",
  },
  "the charset utf8 without its hyphen": {
    sent: TEXT,
    headers: type("application/json; charset=utf8"),
    refused: "unsupported_media_type",
  },
  "the charset utf-16": {
    sent: TEXT,
    headers: type("application/json; charset=utf-16"),
    refused: "unsupported_media_type",
    old: 400,
  },
  "a strange charset and no bytes": {
    sent: "",
    headers: type("application/json; charset=latin1"),
    refused: "unsupported_media_type",
  },

  "plain text": { sent: TEXT, headers: type("text/plain"), is: "other" },
  "a form": {
    sent: "email=admin%40flowviz.com",
    headers: type("application/x-www-form-urlencoded"),
    is: "other",
  },
  "a JSON dialect": { sent: TEXT, headers: type("application/problem+json"), is: "other" },
  "text/json": { sent: TEXT, headers: type("text/json"), is: "other" },
  "an empty type": { sent: TEXT, headers: type(""), is: "other" },
  "a type that is none": { sent: TEXT, headers: type("json"), is: "other" },
  // Two lines of which the first counts arrive as one. On one line the gateway refuses it.
  "two types, JSON first": {
    sent: TEXT,
    headers: type("application/json, text/plain"),
    old: 401,
  },
  "two types, JSON last": {
    sent: TEXT,
    headers: type("text/plain, application/json"),
    is: "other",
  },
  "a parameter without a value": { sent: TEXT, headers: type("application/json; x"), is: "other" },
  "a parameter that isn't there": { sent: TEXT, headers: type("application/json;"), is: "other" },
  "another type, over the limit": {
    sent: "x".repeat(102_401),
    headers: type("text/plain"),
    is: "other",
  },

  "gzip": { sent: gzipSync(TEXT), headers: encoded("gzip") },
  "gzip in capitals": { sent: gzipSync(TEXT), headers: encoded("GZIP") },
  "deflate": { sent: deflateSync(TEXT), headers: encoded("deflate") },
  "identity": { sent: TEXT, headers: encoded("Identity") },
  "an empty encoding": { sent: TEXT, headers: encoded("") },
  "gzip of nothing": { sent: gzipSync(""), headers: encoded("gzip"), is: "none" },
  "gzip in two members": {
    sent: new Uint8Array([...gzipSync(TEXT.slice(0, 9)), ...gzipSync(TEXT.slice(9))]),
    headers: encoded("gzip"),
  },
  "gzip that isn't": { sent: TEXT, headers: encoded("gzip"), refused: "invalid_json" },
  "gzip cut short": {
    sent: gzipSync(TEXT).subarray(0, 25),
    headers: encoded("gzip"),
    refused: "invalid_json",
  },
  "gzip of broken JSON": { sent: gzipSync("{"), headers: encoded("gzip"), refused: "invalid_json" },
  "deflate without its header": {
    sent: deflateRawSync(TEXT),
    headers: encoded("deflate"),
    refused: "invalid_json",
  },
  "brotli": {
    sent: brotliCompressSync(TEXT),
    headers: encoded("br"),
    refused: "unsupported_media_type",
  },
  "gzip twice": {
    sent: gzipSync(gzipSync(TEXT)),
    headers: encoded("gzip, gzip"),
    refused: "unsupported_media_type",
  },
  "an encoding of another type": {
    sent: TEXT,
    headers: { ...type("text/plain"), "content-encoding": "br" },
    is: "other",
  },

  "102,400 bytes": { sent: ofLength(102_400), is: { value: JSON.parse(ofLength(102_400)) } },
  "102,401 bytes": { sent: ofLength(102_401), refused: "body_too_large" },
  "102,400 bytes in gzip": {
    sent: gzipSync(ofLength(102_400)),
    headers: encoded("gzip"),
    is: { value: JSON.parse(ofLength(102_400)) },
  },
  "102,401 bytes in gzip": {
    sent: gzipSync(ofLength(102_401)),
    headers: encoded("gzip"),
    refused: "body_too_large",
  },
  "102,400 bytes in deflate without compression": {
    sent: deflateSync(ofLength(102_400), { level: 0 }),
    headers: encoded("deflate"),
    is: { value: JSON.parse(ofLength(102_400)) },
  },
  "50 MB of zeros in gzip": {
    sent: gzipSync(new Uint8Array(50_000_000)),
    headers: encoded("gzip"),
    refused: "body_too_large",
  },
  "a strange charset, over the limit": {
    sent: ofLength(102_401),
    headers: type("application/json; charset=latin1"),
    refused: "unsupported_media_type",
  },

  "bytes that are no UTF-8": {
    sent: new Uint8Array([...bytesOf(`${TEXT.slice(0, -1)},"x":"`), 0xff, 0x22, 0x7d]),
    refused: "invalid_json",
    old: 200,
  },
  "half a surrogate pair encoded in UTF-8": {
    sent: new Uint8Array([...bytesOf('{"email":"'), 0xed, 0xa0, 0x80, 0x22, 0x7d]),
    refused: "invalid_json",
    old: 401,
  },
  "half a character at the end": {
    sent: new Uint8Array([...bytesOf(TEXT), 0xc3]),
    refused: "invalid_json",
  },
  "32 levels": {
    sent: "[".repeat(32) + "]".repeat(32),
    is: { value: JSON.parse("[".repeat(32) + "]".repeat(32)) },
  },
};

export const bytesSent = ({ sent }: SentBody) =>
  new Uint8Array(typeof sent === "string" ? bytesOf(sent) : sent);

/** The parsed form of an accepted body. */
export function expected({ is = { value: EMAIL } }: SentBody): Body {
  return typeof is === "object" ? { kind: "json", ...is } : { kind: is };
}
