import http from "node:http";
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from "node:zlib";
import { startTestServer, type TestServer } from "../../testing/test_server.ts";

/** How a server in front of another one compresses. */
export interface Compressing {
  /** Its `Content-Encoding`. */
  readonly coding: string;
  readonly pack: (body: Uint8Array) => Uint8Array;
  /** The change of the ETag; undefined: it is dropped. Unchanged unless set. */
  readonly etag?: (value: string) => string | undefined;
  /** Shorter bodies are not compressed, in bytes. */
  readonly min?: number;
  /** Whether it also compresses for clients that accept no coding. */
  readonly isUnasked?: boolean;
  /** Additional headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

const weak = (etag: string) => etag.startsWith("W/") ? etag : `W/${etag}`;
const suffixed = (suffix: string) => (etag: string) => `${etag.slice(0, -1)}${suffix}"`;

const inHalves = (pack: (body: Uint8Array) => Uint8Array) => (body: Uint8Array) => {
  const middle = body.length >> 1;
  return Buffer.concat([pack(body.subarray(0, middle)), pack(body.subarray(middle))]);
};

/** Forms of compression by reverse proxies, by name. */
export const COMPRESSING = {
  nginx: {
    coding: "gzip",
    pack: gzipSync,
    etag: weak,
    min: 20,
    headers: { server: "nginx/1.26.3", connection: "keep-alive" },
  },
  "an nginx before 1.7.3": { coding: "gzip", pack: gzipSync, etag: () => undefined },
  Apache: {
    coding: "gzip",
    pack: gzipSync,
    etag: suffixed("-gzip"),
    headers: { server: "Apache" },
  },
  "Apache with brotli": { coding: "br", pack: brotliCompressSync, etag: suffixed("-br") },
  Jetty: { coding: "gzip", pack: gzipSync, etag: suffixed("--gzip") },
  Caddy: { coding: "zstd", pack: zstdCompressSync, etag: suffixed("-zstd") },
  "a server with deflate": { coding: "deflate", pack: deflateSync },
  "a server with bare deflate": { coding: "deflate", pack: deflateRawSync },
  "a server that says x-gzip": { coding: "x-gzip", pack: gzipSync },
  "a server that says GZIP": { coding: "GZIP", pack: gzipSync },
  "a server that writes gzip in two members": { coding: "gzip", pack: inHalves(gzipSync) },
  "a server that writes zstd in two frames": { coding: "zstd", pack: inHalves(zstdCompressSync) },
  "two servers that compress": {
    coding: "gzip, br",
    pack: (body) => brotliCompressSync(gzipSync(body)),
  },
  "a server that says identity": { coding: "identity", pack: (body) => body },
} as const satisfies Record<string, Compressing>;

/**
 * Passes requests on to a server unchanged. For clients with an `Accept-Encoding` it compresses the
 * responses, in chunks and without a length.
 */
export function startCompressingServer(
  target: string,
  { coding, pack, etag = (value) => value, min = 0, isUnasked = false, headers = {} }: Compressing,
): Promise<TestServer> {
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((incoming, outgoing) => {
    const { method, headers: requested, url = "" } = incoming;
    const forwarded = http.request(
      target + url,
      { method, headers: requested, agent },
      (response) => {
        const parts: Uint8Array[] = [];
        response.on("data", (part: Uint8Array) => parts.push(part));
        response.on("end", () => {
          const body = Buffer.concat(parts);
          const { "content-length": length, "transfer-encoding": _chunked, etag: tag, ...kept } =
            response.headers;
          const hasContent = method === "HEAD" ? length !== "0" : body.length >= Math.max(min, 1);
          const isAsked = isUnasked || requested["accept-encoding"] !== undefined;
          if (!isAsked || !hasContent) {
            outgoing.writeHead(response.statusCode ?? 0, { ...response.headers, ...headers });
            outgoing.end(body);
            return;
          }
          const changed = tag && etag(tag);
          outgoing.writeHead(response.statusCode ?? 0, {
            ...kept,
            ...headers,
            ...(changed && { etag: changed }),
            vary: "Accept-Encoding",
            "content-encoding": coding,
          });
          const packed = method === "HEAD" ? new Uint8Array() : pack(body);
          outgoing.write(packed.subarray(0, 7));
          outgoing.end(packed.subarray(7));
        });
      },
    );
    forwarded.on("error", () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  return startTestServer(server, () => agent.destroy());
}
