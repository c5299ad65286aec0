import { type Draft, setHeader } from "./draft.ts";
import type { Mutation } from "./mutation.ts";

const EXTENSIONS = [
  "",
  "",
  ";a",
  ";a=b",
  ';a="b;c"',
  ";a=b;c=d",
] as [string, ...string[]];
const TRAILERS = [
  [],
  [],
  ["X-Checksum: 1"],
  ["Host: evil"],
  ["Authorization: Bearer x"],
  ["X: 1", "X: 2"],
  ["Content-Type: text/plain"],
] as [string[], ...string[][]];

function chunk(draft: Draft, size: number, extension: string, trailers: readonly string[]): void {
  draft.framing = { kind: "chunked", size, extension, trailers };
}

const BODIES = [
  "{a}",
  "{}",
  "[]",
  "null",
  '{"email":"admin@flowviz.com"}',
  '{"lot_code":"X"}',
  " ",
  "x",
  '"x"',
  '{"a":1}',
  "\0",
  "<a/>",
  "GET / HTTP/1.1\r\n\r\n",
  "é",
  "x".repeat(5_000),
  `{"a":"${"x".repeat(110_000)}"}`,
] as [string, ...string[]];

/** Mutations of the body's framing, and of the HTTP version. */
export const ODD_FRAMING: readonly Mutation[] = [
  {
    name: "in chunks",
    stage: "framing",
    of: "body",
    weight: 4,
    apply(draft, random) {
      chunk(
        draft,
        random.pick([1, 2, 7, 16, 100, 4_096, 1_000_000]),
        random.pick(EXTENSIONS),
        random.pick(TRAILERS),
      );
    },
  },
  {
    name: "an odd extension of a chunk, odd trailers",
    stage: "framing",
    of: "body",
    weight: 1,
    mayBeRefused: true,
    apply(draft, random) {
      const extension = random.pick([
        "",
        `;a=${"b".repeat(20_000)}`,
        " ;a=b",
        "; a = b",
        ";",
        ";;",
        ";=b",
        ";a=",
        ";\xe9=1",
        " ",
        "\t",
        ";a\x01",
        ";a\rb",
      ]);
      const trailers = random.pick([[], ["Content-Length: 5"], ["Transfer-Encoding: chunked"], [
        "X",
      ]]);
      chunk(draft, random.pick([1, 16, 4_096]), extension, trailers);
    },
  },
  {
    name: "a body where none belongs",
    stage: "document",
    of: "any",
    weight: 3,
    apply(draft, random) {
      if (draft.method !== "GET") return;
      draft.document = random.pick(BODIES);
      if (random.below(3)) {
        setHeader(
          draft,
          "Content-Type",
          random.pick([
            "application/json",
            "application/json",
            "text/plain",
            "application/json; charset=latin1",
            "application/json; charset=utf-16",
            "application/x-www-form-urlencoded",
          ]),
        );
      }
      if (random.below(6) === 0) {
        setHeader(draft, "Content-Encoding", random.pick(["gzip", "br", "identity", "x"]));
      }
      if (random.below(3)) draft.framing = { kind: "length" };
      else chunk(draft, random.pick([1, 5, 4_096]), "", random.pick(TRAILERS));
    },
    mayBeRefused: true,
  },
  {
    name: "no body, and no length",
    stage: "framing",
    of: "body",
    weight: 1,
    apply(draft) {
      draft.document = "";
      draft.framing = { kind: "none" };
    },
  },
  {
    name: "an empty body",
    stage: "document",
    of: "any",
    weight: 2,
    apply(draft, random) {
      draft.document = "";
      if (random.below(2)) draft.framing = { kind: "length" };
      else chunk(draft, 1, random.pick(EXTENSIONS), random.pick(TRAILERS));
    },
  },
  {
    name: "HTTP/1.0",
    stage: "framing",
    of: "any",
    weight: 2,
    mayBeRefused: true,
    apply(draft, random) {
      draft.version = "HTTP/1.0";
      if (random.below(2)) setHeader(draft, "Host", undefined);
      if (random.below(2)) setHeader(draft, "Connection", "keep-alive");
    },
  },
  {
    name: "a length that is written oddly",
    stage: "framing",
    of: "body",
    weight: 1,
    mayBeRefused: true,
    apply(draft, random) {
      const write = random.pick<(length: number) => string>([
        (length) => `0${length}`,
        (length) => `000000${length}`,
        (length) => `+${length}`,
        (length) => ` ${length} `,
        (length) => `${length}, ${length}`,
        (length) => `${length}.0`,
        (length) => `0x${length.toString(16)}`,
        () => "",
        () => "-1",
        () => "x",
      ]);
      draft.encoders.push((bytes) => {
        setHeader(draft, "Content-Length", write(bytes.length));
        return bytes;
      });
    },
  },
  {
    name: "two lengths, or a transfer coding and a length",
    stage: "framing",
    of: "body",
    weight: 1,
    mayBeRefused: true,
    apply(draft, random) {
      if (random.below(2)) {
        draft.encoders.push((bytes) => {
          draft.headers.push(["Content-Length", String(bytes.length)], [
            "Content-Length",
            String(bytes.length),
          ]);
          return bytes;
        });
      } else {
        chunk(draft, 16, "", []);
        draft.headers.push(["Content-Length", "3"]);
      }
    },
  },
  {
    name: "another transfer coding",
    stage: "framing",
    of: "body",
    weight: 1,
    mayBeRefused: true,
    apply(draft, random) {
      if (random.below(2)) chunk(draft, 16, "", []);
      draft.headers.push([
        "Transfer-Encoding",
        random.pick([
          "identity",
          "gzip, chunked",
          "chunked, chunked",
          "chunked",
          "CHUNKED",
          "x",
          "",
          "gzip",
          "chunked;a=b",
          '"chunked"',
        ]),
      ]);
    },
  },
  {
    name: "no Host, or two",
    stage: "framing",
    of: "any",
    weight: 1,
    mayBeRefused: true,
    apply(draft, random) {
      if (random.below(2)) setHeader(draft, "Host", undefined);
      else draft.headers.push(["Host", random.pick(["plant.example", "other.example"])]);
    },
  },
  {
    name: "a line that is no header",
    stage: "framing",
    of: "any",
    weight: 1,
    mayBeRefused: true,
    apply(draft, random) {
      draft.headers.push(random.pick<[string, string]>([
        ["X ", "space before the colon"],
        ["X\t", "tab"],
        [" X", "folded"],
        ["", "no name"],
        ["X(", "bracket"],
        ["X", "a\rb"],
        ["X", "a\nb"],
        ["X", "a\0b"],
        ["X", "a\x7fb"],
        ["X", "a\x01b"],
        ["X\xe9", "é"],
        ["X", "a\r\n b"],
        ["X", "a\r\n\tb"],
        ["Content-Length ", "5"],
        ["Transfer-Encoding ", "chunked"],
        ["X:", "y"],
      ]));
    },
  },
  {
    name: "another version",
    stage: "framing",
    of: "any",
    weight: 1,
    mayBeRefused: true,
    apply(draft, random) {
      draft.version = random.pick([
        "HTTP/1.2",
        "HTTP/2.0",
        "HTTP/0.9",
        "http/1.1",
        "HTTP/1.1 ",
        "HTTP/01.1",
        "HTTP/1",
        "",
        "HTTP/9.9",
      ]);
    },
  },
];
