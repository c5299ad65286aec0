import { Buffer } from "node:buffer";
import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { MalformedResponseError } from "../exchange/response_head.ts";
import { ResponseParser } from "./response_parser.ts";

/**
 * The parser's events, body parts joined, when the bytes come in parts that end at these places.
 */
function read(text: string, cuts: number[] = [], { method = "GET", ends = false } = {}) {
  const notified: string[] = [];
  let body = "";
  const parser = new ResponseParser(method, {
    interim: ({ status, reason, headers }) =>
      notified.push(`interim ${status} ${reason} ${headers.join("|")}`),
    head: ({ status, reason, headers }) =>
      notified.push(`${status} ${reason} ${headers.join("|")}`),
    data: (chunk) => body += Buffer.from(chunk).toString("latin1"),
    end: (last) => {
      body += Buffer.from(last ?? []).toString("latin1");
      notified.push(`body ${body}`);
    },
  });
  const bytes = Buffer.from(text, "latin1");
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    parser.push(bytes.subarray(from, to));
    from = to;
  }
  if (ends) parser.finish();
  return {
    told: notified,
    keepsAlive: parser.keepsAlive,
    keepAliveSeconds: parser.keepAliveSeconds,
  };
}

const WHOLE: [what: string, text: string, told: string[], keepsAlive: boolean][] = [
  ["a length", "HTTP/1.1 200 OK\r\nX-a:  1 \r\nx-A: 2\r\nContent-Length: 3\r\n\r\nabc", [
    "200 OK X-a|1|x-A|2|Content-Length|3",
    "body abc",
  ], true],
  ["an empty body", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", [
    "404 Not Found content-length|0",
    "body ",
  ], true],
  ["no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", [
    "200  Content-Length|0",
    "body ",
  ], true],
  [
    "chunks",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" +
    "2\r\nab\r\nA;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
    [
      "200 OK Transfer-Encoding|Chunked",
      "body ab0123456789",
    ],
    true,
  ],
  ["204", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", [
    "204 No Content Content-Length|0",
    "body ",
  ], true],
  ["304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", [
    "304 Not Modified Content-Length|9",
    "body ",
  ], true],
  [
    "an interim response",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
    [
      "interim 103 Early Hints Link|</a>",
      "200 OK Content-Length|1",
      "body a",
    ],
    true,
  ],
  ["its last response", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\na", [
    "200 OK Connection|x, Close|Content-Length|1",
    "body a",
  ], false],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", [
    "200 OK Content-Length|1",
    "body a",
  ], false],
  [
    "letters beyond ASCII",
    "HTTP/1.1 200 d\xe9j\xe0\r\nX: \xa0\xff\r\nContent-Length: 1\r\n\r\n\xfe",
    [
      "200 d\xe9j\xe0 X|\xa0\xff|Content-Length|1",
      "body \xfe",
    ],
    true,
  ],
];

for (const [what, text, notified, keepsAlive] of WHOLE) {
  Deno.test(`a response with ${what} is read the same at any split`, () => {
    for (let cut = 0; cut <= text.length; cut++) {
      const found = read(text, [cut]);
      deepStrictEqual([found.told, found.keepsAlive], [notified, keepsAlive], `cut at ${cut}`);
    }
    const letters = Array.from({ length: text.length }, (_, at) => at);
    deepStrictEqual(read(text, letters).told, notified, "letter by letter");
  });

  Deno.test(`a response with ${what} that ends too early is refused`, () => {
    for (let length = 0; length < text.length; length++) {
      throws(() => read(text.slice(0, length), [], { ends: true }), MalformedResponseError);
    }
  });
}

Deno.test("without a length the body ends with the connection, which is not reused", () => {
  const { told: notified, keepsAlive } = read("HTTP/1.1 200 OK\r\n\r\nabc", [20], { ends: true });
  deepStrictEqual([notified, keepsAlive], [["200 OK ", "body abc"], false]);
});

Deno.test("a response to HEAD has no body, whatever length it announces", () => {
  const { told: notified, keepsAlive } = read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", [], {
    method: "HEAD",
  });
  deepStrictEqual([notified, keepsAlive], [["200 OK Content-Length|9", "body "], true]);
});

Deno.test("bytes after a response make its connection unusable, and belong to no response", () => {
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
  for (const more of ["b", text]) {
    const { told: notified, keepsAlive } = read(text + more);
    deepStrictEqual([notified.length, keepsAlive], [2, false]);
  }
});

Deno.test("the keep-alive timeout of a connection is read from the response", () => {
  const text = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n";
  deepStrictEqual(read(text).keepAliveSeconds, 5);
});

const HEAD = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
/** A fault of a head is one in an interim response as well. */
const BROKEN_HEADS: [what: string, line: string][] = [
  ["a bare line feed", "X: a\nY: b"],
  ["a bare line feed instead of an end", "X: a\n\n"],
  ["a bare carriage return", "X: a\rY: b"],
  ["NUL in a value", "X: a\0b"],
  ["a control character in a value", "X: a\x01b"],
  ["DEL in a value", "X: a\x7fb"],
  ["a folded header", "X: a\r\n b"],
  ["a header folded by a tab", "X: a\r\n\tb"],
  ["a first header that is folded", " X: a"],
  ["a space before the colon", "X : a"],
  ["no name", ": a"],
  ["no colon", "nonsense"],
  ["a name beyond ASCII", "X\xe9: a"],
  ["a name with a bracket", "X(): a"],
  ["more headers than any server sends", "X: a\r\n".repeat(2_000) + "X: a"],
  ["more bytes than any head has", `X: ${"a".repeat(70_000)}`],
];
const BROKEN: [what: string, text: string][] = [
  ...BROKEN_HEADS.map(([what, line]): [string, string] => [
    `a head with ${what}`,
    `${HEAD}Content-Length: 0\r\n${line}\r\n\r\n`,
  ]),
  ...[100, 102, 103, 199].flatMap((status) =>
    BROKEN_HEADS.map(([what, line]): [string, string] => [
      `a ${status} with ${what}`,
      `HTTP/1.1 ${status} X\r\n${line}\r\n\r\n${HEAD}Content-Length: 0\r\n\r\n`,
    ])
  ),
  ["a 103 with a length", "HTTP/1.1 103 X\r\nContent-Length: 0\r\n\r\n"],
  ["a 103 with chunks", "HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["a 103 of HTTP/1.0", "HTTP/1.0 103 X\r\n\r\n"],
  ["a reason with a control character", "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n"],
  ["a 103 whose reason has a line feed", "HTTP/1.1 103 X\nY: a\r\n\r\n"],
  [
    "interim responses of many bytes",
    `HTTP/1.1 103 X\r\nL: ${"a".repeat(9_000)}\r\n\r\n`.repeat(8),
  ],
  ["another protocol", "SSH-2.0-x\r\n\r\n"],
  ["HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
  ["status 600", "HTTP/1.1 600 X\r\n\r\n"],
  ["a switch of protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
  ["a folded header", `${HEAD}X: a\r\n b\r\n\r\n`],
  ["a space before the colon", `${HEAD}Content-Length : 1\r\n\r\na`],
  ["a line without a colon", `${HEAD}nonsense\r\n\r\n`],
  ["two lengths", `${HEAD}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
  [
    "a length and chunks",
    `${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["a length that is none", `${HEAD}Content-Length: 1a\r\n\r\na`],
  ["a negative length", `${HEAD}Content-Length: -1\r\n\r\n`],
  ["another encoding", `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n`],
  ["a chunk of no size", `${CHUNKED}\r\n`],
  ["a chunk with a sign", `${CHUNKED}+1\r\na\r\n0\r\n\r\n`],
  ["a chunk longer than it said", `${CHUNKED}1\r\nab\r\n0\r\n\r\n`],
  ["a head without end", `${HEAD}X: ${"a".repeat(70_000)}`],
  ["a head that is too long", `${HEAD}X: ${"a".repeat(70_000)}\r\n\r\n`],
  ["trailers without end", `${CHUNKED}0\r\n${"T: 1\r\n".repeat(12_000)}`],
  ["a chunk line without end", `${CHUNKED}1;${"a".repeat(2_000)}`],
  ["chunk extensions without end", `${CHUNKED}${`1;${"e".repeat(900)}\r\na\r\n`.repeat(20)}`],
  ["a space behind a chunk's size", `${CHUNKED}1 \r\na\r\n0\r\n\r\n`],
  ["NUL in a chunk extension", `${CHUNKED}1;a\0\r\na\r\n0\r\n\r\n`],
  ["a bare carriage return in a chunk extension", `${CHUNKED}1;a\rb\r\na\r\n0\r\n\r\n`],
  ["a bare line feed behind a chunk's size", `${CHUNKED}1\na\r\n0\r\n\r\n`],
  ["a trailer that is none", `${CHUNKED}0\r\nnonsense\r\n\r\n`],
  ["a trailer with a bare line feed", `${CHUNKED}0\r\nT: a\nb\r\n\r\n`],
  ["more trailers than any server sends", `${CHUNKED}0\r\n${"T:\r\n".repeat(2_001)}\r\n`],
  [
    "two equal transfer encodings",
    `${CHUNKED.slice(0, -2)}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["interim responses without end", "HTTP/1.1 102 Processing\r\n\r\n".repeat(17)],
];

for (const [what, text] of BROKEN) {
  Deno.test(`${what} is no response`, () => {
    throws(() => read(text), MalformedResponseError);
    ok(text.length > 0);
  });
}

Deno.test("tiny chunks that arrive together are reported as one part", () => {
  const parts: number[] = [];
  const parser = new ResponseParser("GET", {
    interim: () => {},
    head: () => {},
    data: (chunk) => parts.push(chunk.length),
    end: () => {},
  });
  parser.push(Buffer.from(CHUNKED + "1\r\na\r\n".repeat(1_000)));
  parser.push(Buffer.from("1\r\na\r\n".repeat(500) + "0\r\n\r\n"));
  deepStrictEqual(parts, [1_000, 500]);
});
