import { Buffer } from "node:buffer";
import { throws } from "node:assert/strict";
import { ResponseParser } from "./response_parser.ts";

const HEAD = "HTTP/1.1 200 OK\r\n";
const CHUNKS = "Transfer-Encoding: chunked\r\n";
const LENGTH = "Content-Length: 1\r\n";

/**
 * Each is a response except for one fault, which is named. Most are ways to make a response that
 * two readers understand differently.
 */
const FAULTS: [what: string, text: string, says: RegExp][] = [
  ["chunks twice", `${HEAD}${CHUNKS}${CHUNKS}\r\n0\r\n\r\n`, /^the transfer encoding is unknown$/],
  [
    "chunks twice, in other letters",
    `${HEAD}${CHUNKS}TRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n`,
    /^the transfer encoding is unknown$/,
  ],
  [
    "another coding before the chunks",
    `${HEAD}Transfer-Encoding: gzip\r\n${CHUNKS}\r\n0\r\n\r\n`,
    /^the transfer encoding is unknown$/,
  ],
  [
    "chunks and a length",
    `${HEAD}${CHUNKS}${LENGTH}\r\n0\r\n\r\n`,
    /^the response has two lengths$/,
  ],
  [
    "a length and chunks",
    `${HEAD}${LENGTH}${CHUNKS}\r\n0\r\n\r\n`,
    /^the response has two lengths$/,
  ],
  ["the same length twice", `${HEAD}${LENGTH}${LENGTH}\r\na`, /^the content length is invalid$/],
  ["an empty length", `${HEAD}Content-Length:\r\n\r\na`, /^the content length is invalid$/],
  ["a length in hex", `${HEAD}Content-Length: 0x1\r\n\r\na`, /^the content length is invalid$/],
  [
    "a length beyond what a number holds",
    `${HEAD}Content-Length: 1000000000000000\r\n\r\n`,
    /^the content length is invalid$/,
  ],
  ["another protocol", "SSH-2.0-x\r\n\r\n", /^the status line is malformed$/],
  ["status 600", "HTTP/1.1 600 X\r\n\r\n", /^the status line is malformed$/],
  ["a switch of protocols", "HTTP/1.1 101 X\r\n\r\n", /^the status line is malformed$/],
  ["a header without a name", `${HEAD}: 1\r\n\r\n`, /^a header is malformed$/],
  ["a header without a colon", `${HEAD}Content-Length\r\n\r\n`, /^a header is malformed$/],
  ["a chunk of no size", `${HEAD}${CHUNKS}\r\n;x\r\n`, /^a chunk size is malformed$/],
  [
    "a chunk of a size beyond what a number holds",
    `${HEAD}${CHUNKS}\r\n1000000000000\r\n`,
    /^a chunk size is malformed$/,
  ],
  [
    "a chunk longer than it said",
    `${HEAD}${CHUNKS}\r\n1\r\nab\r\n0\r\n\r\n`,
    /^a chunk is longer than its size$/,
  ],
  [
    "seventeen interim responses",
    "HTTP/1.1 102 X\r\n\r\n".repeat(17),
    /^too many interim responses$/,
  ],
];

for (const [what, text, says] of FAULTS) {
  Deno.test(`a response with ${what} is refused for that`, () => {
    for (const cut of [text.length, 5, text.length - 2]) {
      const parser = new ResponseParser("GET", {
        interim: () => {},
        head: () => {},
        data: () => {},
        end: () => {},
      });
      throws(() => {
        parser.push(Buffer.from(text.slice(0, cut), "latin1"));
        parser.push(Buffer.from(text.slice(cut), "latin1"));
      }, { message: says });
    }
  });
}
