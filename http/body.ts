import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { firstContentType } from "../contract/content_type.ts";
import { parseMediaType } from "../contract/media_type.ts";
import { ApiError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { readBytes } from "../read_bytes.ts";
import { findJsonError } from "./json_error.ts";

/** A request body: a JSON object or list, or no JSON. */
export type Body =
  | { readonly kind: "json"; readonly value: unknown }
  /** No body or an empty one: the old server read `{}`. */
  | { readonly kind: "none" }
  /** Not `application/json`: the old server ignored the body and read `{}`. */
  | { readonly kind: "other" };

export interface BodyLimits {
  /** The most bytes, after decompression. */
  readonly bytes: number;
  /** The client must send the whole body within this time, in ms. */
  readonly deadlineMs: number;
}

/**
 * Reads a body by the rules of the old server (Express's body-parser, strict JSON):
 * `application/json` only, charset UTF-8, gzip and deflate, a BOM is skipped, the last of two same
 * keys wins, the document is an object or a list.
 *
 * @param text whether bytes that are no UTF-8 are refused, or read as U+FFFD as the old server did
 * @throws {ApiError} 400 no JSON or no UTF-8, 408 too slow, 413 too large, 415 charset or encoding
 */
export async function readBody(
  request: Request,
  limits: BodyLimits,
  text: "strict" | "lenient" = "strict",
): Promise<Body> {
  const { headers } = request;
  const length = headers.get("content-length");
  if (length === null && !headers.has("transfer-encoding")) return { kind: "none" };
  const type = parseMediaType(firstContentType(headers.get("content-type") ?? ""));
  if (type?.name !== "application/json") {
    return { kind: length === "0" ? "none" : "other" };
  }
  // body-parser checks the charset before it reads the body.
  if (type.charset !== undefined && type.charset !== "utf-8") {
    throw new ApiError("unsupported_media_type", "The charset must be utf-8");
  }
  const decompress = decompressor(headers.get("content-encoding"));
  if (decompress === undefined && Number(length) > limits.bytes) throw tooLarge(limits);
  const max = decompress === undefined ? limits.bytes : maxCompressed(limits);
  const sent = await readBytes(request, { max, deadlineMs: limits.deadlineMs });
  if (sent.size > max) throw tooLarge(limits);
  const bytes = decompress === undefined ? sent.bytes : await decompress(sent.bytes, limits);
  const document = text === "strict" ? decodeText(bytes) : LENIENT_UTF_8.decode(bytes);
  return document === "" ? { kind: "none" } : { kind: "json", value: parseDocument(document) };
}

// Without `fatal`, bad bytes would be stored as U+FFFD unnoticed. Both drop a BOM.
const UTF_8 = new TextDecoder("utf-8", { fatal: true });
const LENIENT_UTF_8 = new TextDecoder("utf-8");

const NO_JSON = "The body is not valid JSON in UTF-8";

function decodeText(bytes: Uint8Array): string {
  try {
    return UTF_8.decode(bytes);
  } catch {
    throw new ApiError("invalid_json", NO_JSON);
  }
}

function parseDocument(text: string): unknown {
  const value = parseJson(text);
  if (value === undefined) throw new ApiError("invalid_json", describeJsonError(text));
  if (typeof value !== "object" || value === null) {
    throw new ApiError("invalid_json", "The body must be a JSON object");
  }
  return value;
}

function describeJsonError(text: string): string {
  const { line, column, isEnd } = findJsonError(text);
  const place = `line ${line}, column ${column}`;
  return `The body is not valid JSON: ${isEnd ? `it ends too early, at ${place}` : place}`;
}

/**
 * The most bytes of a compressed body: gzip adds a little to data that doesn't compress, and more
 * bytes can't decompress to the limit.
 */
export function maxCompressed(limits: BodyLimits): number {
  return limits.bytes + (limits.bytes >> 6) + 64;
}

const DECOMPRESSORS = new Map([["gzip", promisify(gunzip)], ["deflate", promisify(inflate)]]);

type Decompress = (bytes: Uint8Array, limits: BodyLimits) => Promise<Uint8Array>;

function decompressor(encoding: string | null): Decompress | undefined {
  const name = encoding?.toLowerCase() || "identity";
  if (name === "identity") return undefined;
  const run = DECOMPRESSORS.get(name);
  if (run === undefined) {
    throw new ApiError("unsupported_media_type", "The content encoding must be gzip or deflate");
  }
  return async (bytes, limits) => {
    try {
      // Decompression stops at the limit, so a zip bomb can't fill the memory.
      return await run(bytes, { maxOutputLength: limits.bytes });
    } catch (thrown) {
      if (thrown instanceof Error && "code" in thrown && thrown.code === "ERR_BUFFER_TOO_LARGE") {
        throw tooLarge(limits);
      }
      throw new ApiError("invalid_json", `The body is not valid ${name}`, { cause: thrown });
    }
  };
}

function tooLarge(limits: BodyLimits): ApiError {
  return new ApiError("body_too_large", `The body is larger than ${limits.bytes} bytes`, {
    headers: { connection: "close" },
  });
}
