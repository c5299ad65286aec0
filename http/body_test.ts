import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import {
  BODIES,
  bytesOf,
  bytesSent,
  expected,
  JSON_TYPE,
  ofLength,
  type SentBody,
} from "../testing/sent_bodies.ts";
import { eventually } from "../testing/eventually.ts";
import { isTooDeep } from "../contract/json_depth.ts";
import { delay } from "../timing.ts";
import { readBody } from "./body.ts";

const LIMITS = { bytes: 102_400, deadlineMs: 10_000 };

/** The request as the server passes it on. */
function requestOf(each: SentBody): Request {
  const body = bytesSent(each);
  const headers = { ...each.headers ?? JSON_TYPE, "content-length": String(body.length) };
  return new Request("http://localhost/", { method: "POST", headers, body });
}

for (const [what, each] of Object.entries(BODIES)) {
  const { refused } = each;
  Deno.test(`a body of ${what} is ${refused ?? `"${expected(each).kind}"`}`, async () => {
    const read = readBody(requestOf(each), LIMITS);
    if (refused === undefined) deepStrictEqual(await read, expected(each));
    else await rejects(read, { name: "ApiError", code: refused });
  });
}

Deno.test("a body of 10,000 levels is parsed, and its depth is checked before it is walked", async () => {
  const sent = "[".repeat(10_000) + "]".repeat(10_000);
  const body = await readBody(requestOf({ sent }), LIMITS);
  strictEqual(body.kind === "json" && isTooDeep(body.value), true);
});

Deno.test("in lenient mode, bytes that are no UTF-8 are U+FFFD", async () => {
  const sent = Uint8Array.from([...bytesOf('{"a":"'), 0xff, 0xc3, ...bytesOf('"}')]);
  deepStrictEqual(await readBody(requestOf({ sent }), LIMITS, "lenient"), {
    kind: "json",
    value: { a: "\ufffd\ufffd" },
  });
});

Deno.test("a request that announces no body has none, whatever its type", async () => {
  const request = new Request("http://localhost/", { method: "POST", headers: JSON_TYPE });
  deepStrictEqual(await readBody(request, LIMITS), { kind: "none" });
});

/** A request whose body arrives in pieces without an announced length. */
function inPieces(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Request {
  const headers = { ...JSON_TYPE, "transfer-encoding": "chunked" };
  const body = ReadableStream.from(pieces);
  return new Request("http://localhost/", { method: "POST", headers, body });
}

Deno.test("a body in pieces is joined, also characters split between pieces", async () => {
  const bytes = bytesOf('{"email":"Kovács Éva 💩"}');
  const pieces = Array.from(bytes, (byte) => new Uint8Array([byte]));
  deepStrictEqual(await readBody(inPieces(pieces), LIMITS), {
    kind: "json",
    value: { email: "Kovács Éva 💩" },
  });
});

Deno.test("a body in pieces may have 102,400 bytes, not one more", async () => {
  const pieces = (bytes: number) => {
    const all = bytesOf(ofLength(bytes));
    return [all.subarray(0, 50_000), all.subarray(50_000)];
  };
  strictEqual((await readBody(inPieces(pieces(102_400)), LIMITS)).kind, "json");
  await rejects(readBody(inPieces(pieces(102_401)), LIMITS), { code: "body_too_large" });
});

Deno.test("a body that is late is refused, and its source is cancelled", async () => {
  let isStopped = false;
  async function* pieces() {
    try {
      yield bytesOf('{"email":');
      await delay(200);
      yield bytesOf('"late"}');
    } finally {
      isStopped = true;
    }
  }
  const read = readBody(inPieces(pieces()), { ...LIMITS, deadlineMs: 20 });
  await rejects(read, { code: "body_too_slow" });
  await eventually("the source is stopped", () => Promise.resolve(isStopped));
});

Deno.test("a body that breaks off is refused", async () => {
  async function* pieces() {
    yield bytesOf('{"email":');
    await Promise.resolve();
    throw new Error("connection reset");
  }
  await rejects(readBody(inPieces(pieces()), LIMITS), { code: "client_gone" });
});

Deno.test("the limit is the configured one, and the message names it", async () => {
  const limits = { ...LIMITS, bytes: 1024 };
  const one = { sent: ofLength(1024) };
  strictEqual((await readBody(requestOf(one), limits)).kind, "json");
  const more = [{ sent: ofLength(1025) }, {
    sent: gzipSync(ofLength(1025)),
    headers: { ...JSON_TYPE, "content-encoding": "gzip" },
  }];
  for (const each of more) {
    await rejects(readBody(requestOf(each), limits), {
      message: "The body is larger than 1024 bytes",
    });
  }
});
