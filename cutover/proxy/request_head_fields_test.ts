import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { peerOf, readRequestHead, type RequestHead } from "./request_head.ts";

const STRANGER = { address: "192.0.2.1", isTrusted: false };
const PROXY = { address: "10.0.0.1", isTrusted: true };

/** Header lines as Node passes them: names and values in turn. */
const flat = (lines: readonly string[]) =>
  lines.flatMap((line) => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), line.slice(colon + 2)];
  });

const headOf = (lines: readonly string[], version = "1.1", peer = STRANGER) =>
  readRequestHead({ rawHeaders: flat(lines), httpVersion: version }, peer);

function read(lines: readonly string[], { version = "1.1", peer = STRANGER } = {}): RequestHead {
  const head = headOf(lines, version, peer);
  if ("mistake" in head) throw new Error(head.mistake[1]);
  return head;
}

/** The forwarded lines, without the added ones about the client. */
function passed(lines: readonly string[], options?: Parameters<typeof read>[1]): string[] {
  const { lines: all } = read(lines, options);
  const joined = Array.from(
    { length: all.length / 2 },
    (_, at) => `${all[2 * at]}: ${all[2 * at + 1]}`,
  );
  return joined.filter((line) => !/^x-(?:forwarded-|request-id)/i.test(line));
}

const HOST = "Host: plant";

const MISTAKES: [what: string, lines: string[], version: string, says: RegExp][] = [
  ["two hosts", [HOST, "host: other"], "1.1", /two hosts/],
  ["the same host twice", [HOST, HOST], "1.1", /two hosts/],
  ["no host", ["X-Host: plant"], "1.1", /no Host header/],
  ["an encoding that isn't known", [HOST, "Transfer-Encoding: gzip"], "1.1", /only .* chunked/],
  ["two encodings", [HOST, "Transfer-Encoding: gzip, chunked"], "1.1", /only .* chunked/],
  ["an empty encoding", [HOST, "Transfer-Encoding: "], "1.1", /only .* chunked/],
  [
    "chunks and a length",
    [HOST, "Transfer-Encoding: chunked", "Content-Length: 4"],
    "1.1",
    /two lengths/,
  ],
  [
    "a length and chunks",
    [HOST, "Content-Length: 0", "Transfer-Encoding: CHUNKED"],
    "1.1",
    /two lengths/,
  ],
];

for (const [what, lines, version, says] of MISTAKES) {
  Deno.test(`a head with ${what} is refused for that`, () => {
    const head = headOf(lines, version);
    ok("mistake" in head, "it was let through");
    match(head.mistake[1], says);
  });
}

Deno.test("HTTP/1.0 may omit the host; the upstream then gets its own", () => {
  const { needsHost, lines } = read([], { version: "1.0" });
  strictEqual(needsHost, true);
  strictEqual(lines.includes("X-Forwarded-Host"), false);
  strictEqual(read([HOST], { version: "1.0" }).needsHost, false);
});

Deno.test("a body has its announced length, or comes in chunks, or doesn't exist", () => {
  const bodyOf = (...lines: string[]) => {
    const { isChunked, length } = read([HOST, ...lines]);
    return { isChunked, length };
  };
  deepStrictEqual(bodyOf(), { isChunked: false, length: undefined });
  deepStrictEqual(bodyOf("Content-Length: 12"), { isChunked: false, length: 12 });
  deepStrictEqual(bodyOf("Content-Length: 0"), { isChunked: false, length: 0 });
  deepStrictEqual(bodyOf("transfer-encoding: Chunked"), { isChunked: true, length: undefined });
  deepStrictEqual(passed([HOST, "transfer-encoding: Chunked", "A: 1"]), [
    HOST,
    "A: 1",
    "Transfer-Encoding: chunked",
  ]);
  deepStrictEqual(passed([HOST, "content-length: 2"]), [HOST, "content-length: 2"]);
});

Deno.test("hop-by-hop headers, and those that only the gateway may send, are not forwarded", () => {
  const hops = ["Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer"];
  const lines = [HOST, ...hops.map((name) => `${name}: x`), "X-Lotline-Dry-Run: t=1", "B: 2"];
  deepStrictEqual(passed(lines), [HOST, "B: 2"]);
  deepStrictEqual(
    passed([HOST, "Connection: close, X-Hop ,, x-HOP2", "x-hop: 1", "X-Hop2: 2", "Close: 3"]),
    [HOST, "Close: 3"],
  );
  deepStrictEqual(
    passed([HOST, "Connection: a", "Connection: b", "A: 1", "B: 2", "C: 3"]),
    [HOST, "C: 3"],
  );
  deepStrictEqual(
    passed([HOST, "Connection: host, Content-Length", "Content-Length: 1"]),
    [HOST, "Content-Length: 1"],
  );
});

Deno.test("an upgrade is detected and not forwarded", () => {
  strictEqual(read([HOST]).requestsUpgrade, false);
  strictEqual(read([HOST, "Upgrade: h2c"]).requestsUpgrade, true);
  deepStrictEqual(passed([HOST, "Upgrade: h2c"]), [HOST]);
});

Deno.test("the gateway responds to 100-continue, in HTTP/1.1 only", () => {
  const lines = [HOST, "Expect: 100-Continue"];
  strictEqual(read(lines).awaitsContinue, true);
  strictEqual(read(lines, { version: "1.0" }).awaitsContinue, false);
  deepStrictEqual(passed(lines), [HOST]);
  deepStrictEqual(passed(lines, { version: "1.0" }), [HOST]);
  strictEqual(read([HOST]).awaitsContinue, false);
});

Deno.test("the first authorization counts", () => {
  const lines = [HOST, "authorization: Bearer a", "Authorization: Bearer b"];
  strictEqual(read(lines).authorization, "Bearer a");
  deepStrictEqual(passed(lines).slice(0, 2), lines.slice(0, 2));
  strictEqual(read([HOST]).authorization, undefined);
});

Deno.test("a single valid request id is kept, else a new one is made", () => {
  for (const id of ["a", "A-b_c.9", "x".repeat(64)]) {
    strictEqual(read([HOST, `X-Request-Id: ${id}`]).requestId, id);
  }
  const others = [[], ["a b"], [""], ["x".repeat(65)], ["é"], ["a", "a"], ["a", "b", "c"]];
  for (const ids of others) {
    const { requestId, lines } = read([HOST, ...ids.map((id) => `x-request-id: ${id}`)]);
    match(requestId, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    deepStrictEqual(lines.slice(-2), ["X-Request-Id", requestId]);
  }
  notStrictEqual(read([HOST]).requestId, read([HOST]).requestId);
});

Deno.test("the client is the one named by a trusted proxy, followed by this peer; else only the peer", () => {
  const said = [
    HOST,
    "X-Forwarded-For: 192.0.2.7",
    "x-forwarded-for: 192.0.2.8",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: outside",
    "X-Forwarded-Host: farther",
  ];
  const about = (peer: typeof PROXY) => {
    const { lines, forwardedFor } = read(said, { peer });
    const names = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"];
    return [forwardedFor, ...names.map((name) => lines[lines.indexOf(name) + 1])];
  };
  deepStrictEqual(about(PROXY), [
    "192.0.2.7, 192.0.2.8",
    "192.0.2.7, 192.0.2.8, 10.0.0.1",
    "https",
    "outside, farther",
  ]);
  strictEqual(read(said, { peer: PROXY }).requestsUpgrade, false);
  const { forwardedFor } = read([HOST, "X-Request-Id: a"], { peer: PROXY });
  strictEqual(forwardedFor, undefined, "a request's id is no address");
  deepStrictEqual(about(STRANGER), [undefined, "192.0.2.1", "http", "plant"]);
  strictEqual(read(said, { peer: STRANGER }).lines.length, 10, "nothing of it is passed on twice");
});

Deno.test("a peer is trusted by its address in IPv4 form, and one without an address never", () => {
  const isTrusted = (address: string) => address === "10.0.0.1";
  deepStrictEqual(peerOf("10.0.0.1", isTrusted), PROXY);
  deepStrictEqual(peerOf("::ffff:10.0.0.1", isTrusted), PROXY);
  deepStrictEqual(peerOf("10.0.0.2", isTrusted), { address: "10.0.0.2", isTrusted: false });
  deepStrictEqual(peerOf("", () => true), { address: "", isTrusted: false });
});
