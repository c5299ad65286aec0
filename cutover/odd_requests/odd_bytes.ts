import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import type { Random } from "../../dev/random.ts";
import { type Draft, setHeader } from "./draft.ts";
import type { Mutation } from "./mutation.ts";

/** Bytes that are no UTF-8, and some that are valid but that some decoders reject. */
const BYTES = [
  [0xff],
  [0xfe],
  [0x80],
  [0xbf],
  [0xc0, 0x80],
  [0xc1, 0xbf],
  [0xc3],
  [0xe2, 0x82],
  [0xf0, 0x9f, 0x98],
  [0xed, 0xa0, 0x80],
  [0xed, 0xbf, 0xbf],
  [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf5, 0x80, 0x80, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
  [0xe0, 0x80, 0xaf],
  [0xf0, 0x80, 0x80, 0xaf],
  [0xe9],
  [0xa0],
  [0x00],
  [0xef, 0xbb, 0xbf],
  [0xef, 0xbf, 0xbd],
  [0xef, 0xbf, 0xbe],
  [0xc2, 0xa0],
  [0xe2, 0x80, 0xa8],
  [0xfe, 0xff],
  [0xff, 0xfe],
] as [number[], ...number[][]];

const spliced = (bytes: Uint8Array, at: number, inserted: ArrayLike<number>, gone = 0) =>
  new Uint8Array([...bytes.subarray(0, at), ...Array.from(inserted), ...bytes.subarray(at + gone)]);

/** Within a text of the document: invalid bytes outside a text are only invalid JSON. */
function placeInText(bytes: Uint8Array, random: Random): number {
  const quotes = [...bytes.keys()].filter((at) => bytes[at] === 0x22);
  const quote = quotes[random.below(quotes.length)];
  return quote === undefined ? random.below(bytes.length + 1) : quote + random.below(2);
}

function utf16(bytes: Uint8Array, isLittle: boolean, hasMark: boolean): Uint8Array {
  const text = (hasMark ? "\ufeff" : "") + new TextDecoder().decode(bytes);
  const view = new DataView(new ArrayBuffer(2 * text.length));
  for (let at = 0; at < text.length; at++) view.setUint16(2 * at, text.charCodeAt(at), isLittle);
  return new Uint8Array(view.buffer);
}

function utf32(bytes: Uint8Array, isLittle: boolean): Uint8Array {
  const points = [...new TextDecoder().decode(bytes)].map((c) => c.codePointAt(0) ?? 0);
  const view = new DataView(new ArrayBuffer(4 * points.length));
  points.forEach((point, at) => view.setUint32(4 * at, point, isLittle));
  return new Uint8Array(view.buffer);
}

const latin1 = (bytes: Uint8Array) =>
  new Uint8Array([...new TextDecoder().decode(bytes)].map((c) => Math.min(c.charCodeAt(0), 0xff)));

const CHARSETS: [string, ((bytes: Uint8Array) => Uint8Array) | undefined][] = [
  ["utf-8", undefined],
  ["UTF-8", undefined],
  ["Utf-8", undefined],
  ["utf8", undefined],
  ["UTF8", undefined],
  ['"utf-8"', undefined],
  ["'utf-8'", undefined],
  ["utf-8 ", undefined],
  [" utf-8", undefined],
  ["", undefined],
  ['""', undefined],
  ["us-ascii", undefined],
  ["ascii", undefined],
  ["iso-8859-1", latin1],
  ["latin1", latin1],
  ["windows-1252", latin1],
  ["iso-8859-1", undefined],
  ["utf-16", (b) => utf16(b, true, true)],
  ["utf-16", (b) => utf16(b, false, true)],
  ["utf-16", (b) => utf16(b, true, false)],
  ["utf-16", (b) => utf16(b, false, false)],
  ["UTF-16", (b) => utf16(b, true, true)],
  ["utf-16le", (b) => utf16(b, true, false)],
  ["utf-16le", (b) => utf16(b, true, true)],
  ["utf-16be", (b) => utf16(b, false, false)],
  ["utf-16be", (b) => utf16(b, false, true)],
  ["utf-16", undefined],
  ["utf-32", (b) => utf32(b, true)],
  ["utf-32le", (b) => utf32(b, true)],
  ["utf-32be", (b) => utf32(b, false)],
  ["utf-32", undefined],
  ["utf-7", undefined],
  ["utf-7-imap", undefined],
  ["utf-8-foo", undefined],
  ["utf-", undefined],
  ["utf-1", undefined],
  ["utf-ebcdic", undefined],
  ["unicode-1-1-utf-8", undefined],
  ["cesu-8", undefined],
  ["utf-8;charset=latin1", undefined],
  ["latin1;charset=utf-8", undefined],
  ["none", undefined],
  ["binary", undefined],
  ["hex", undefined],
  ["base64", undefined],
  ["shift_jis", undefined],
  ["gbk", undefined],
  ["ucs-2", (b) => utf16(b, true, false)],
];

const join = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));
const same = (bytes: Uint8Array) => bytes;
const gzip = (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes));
const deflate = (bytes: Uint8Array) => new Uint8Array(deflateSync(bytes));
const brotli = (bytes: Uint8Array) => new Uint8Array(brotliCompressSync(bytes));

const CODINGS: [string, (bytes: Uint8Array) => Uint8Array][] = [
  ["gzip", gzip],
  ["gzip", gzip],
  ["GZIP", gzip],
  ["Gzip", gzip],
  ["x-gzip", gzip],
  ["gzip ", gzip],
  ["deflate", deflate],
  ["Deflate", deflate],
  ["deflate", (b) => new Uint8Array(deflateRawSync(b))],
  ["br", brotli],
  ["br", same],
  ["zstd", same],
  ["compress", same],
  ["identity", same],
  ["IDENTITY", same],
  ["", same],
  ["identity, gzip", gzip],
  ["gzip, identity", gzip],
  ["gzip, gzip", (b) => gzip(gzip(b))],
  ["gzip,deflate", (b) => deflate(gzip(b))],
  ["gzip", same],
  ["deflate", same],
  ["gzip", (b) => gzip(b).slice(0, -4)],
  ["gzip", (b) => gzip(b).slice(0, -9)],
  ["gzip", (b) => gzip(b).slice(0, 5)],
  ["gzip", (b) => join(gzip(b), new Uint8Array([0, 0, 0]))],
  ["gzip", (b) => join(gzip(b), new Uint8Array([1, 2, 3]))],
  ["gzip", (b) => join(gzip(b.subarray(0, 5)), gzip(b.subarray(5)))],
  ["gzip", (b) => join(gzip(b), gzip(new Uint8Array()))],
  ["gzip", (b) => join(gzip(b), gzip(b))],
  ["gzip", () => gzip(new Uint8Array())],
  ["gzip", () => new Uint8Array()],
  ["deflate", () => new Uint8Array()],
  ["gzip", (b) => {
    const bad = gzip(b);
    bad[bad.length - 6] = (bad.at(-6) ?? 0) ^ 1;
    return bad;
  }],
  ["gzip", (b) => gzip(join(b, new Uint8Array(300_000).fill(32)))],
  ["deflate", (b) => join(deflate(b), new Uint8Array([1]))],
  ["gzip", (b) => gzip(join(b, new Uint8Array(102_400 - Math.min(b.length, 102_400)).fill(32)))],
  ["gzip", (b) => gzip(join(b, new Uint8Array(102_401 - Math.min(b.length, 102_401)).fill(32)))],
  ["deflate", gzip],
  ["gzip", deflate],
  ["br", gzip],
  ["*", same],
  ["gzip;q=1", gzip],
  ["chunked", same],
  ["aws-chunked", same],
  ["none", same],
  ["utf-8", same],
  ["null", same],
];

function charsetType(charset: string, random: Random): string {
  return random.pick([
    `application/json; charset=${charset}`,
    `application/json;charset=${charset}`,
    `application/json ; Charset = ${charset}`,
  ]);
}

function recode(draft: Draft, encode: (bytes: Uint8Array) => Uint8Array): void {
  draft.encoders.push(encode);
}

/** Mutations of a body's bytes: its encodings. */
export const ODD_BYTES: readonly Mutation[] = [
  {
    name: "bytes that are no UTF-8, or nearly",
    stage: "bytes",
    of: "body",
    weight: 5,
    apply(draft, random) {
      const inserted = random.pick(BYTES);
      const isInText = random.below(4) > 0;
      const seed = random.next();
      const gone = random.below(2);
      recode(draft, (bytes) => {
        const at = isInText ? placeInText(bytes, random) : Math.floor(seed * (bytes.length + 1));
        return spliced(bytes, at, inserted, isInText ? 0 : gone);
      });
    },
  },
  {
    name: "a byte order mark",
    stage: "bytes",
    of: "body",
    weight: 1,
    apply(draft, random) {
      const mark = random.pick([
        [0xef, 0xbb, 0xbf],
        [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf],
        [0xfe, 0xff],
        [0xff, 0xfe],
        [0xef, 0xbb],
      ]);
      recode(draft, (bytes) => spliced(bytes, 0, mark));
    },
  },
  {
    name: "a charset",
    stage: "bytes",
    of: "body",
    weight: 5,
    apply(draft, random) {
      const [charset, encode] = random.pick(CHARSETS as [typeof CHARSETS[0], ...typeof CHARSETS]);
      setHeader(draft, "Content-Type", charsetType(charset, random));
      if (encode !== undefined) recode(draft, encode);
    },
  },
  {
    name: "a content coding",
    stage: "bytes",
    of: "body",
    weight: 6,
    apply(draft, random) {
      const [coding, encode] = random.pick(CODINGS as [typeof CODINGS[0], ...typeof CODINGS]);
      draft.headers.push(["Content-Encoding", coding]);
      recode(draft, encode);
    },
  },
];
