import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ByteBuffer } from "./byte_buffer.ts";

/** A byte as Deno reads it: a view on a buffer of 64 kB. */
const viewOfByte = (byte: number) => new Uint8Array(65_536).fill(byte).subarray(0, 1);

/** The memory in use, in bytes. */
const capacityOf = (kept: ByteBuffer) => kept.bytes().buffer.byteLength;

Deno.test("single bytes take at most twice their size, not their buffers", () => {
  const kept = new ByteBuffer(100_000);
  for (let count = 1; count <= 3_000; count++) {
    kept.append(viewOfByte(count));
    ok(capacityOf(kept) <= Math.max(512, 2 * count), `${capacityOf(kept)} for ${count}`);
  }
  deepStrictEqual(kept.bytes(), Uint8Array.from({ length: 3_000 }, (_, at) => at + 1));
});

Deno.test("pieces of any size are joined, and bytes read earlier stay unchanged", () => {
  const kept = new ByteBuffer(10_000);
  deepStrictEqual(kept.bytes(), new Uint8Array());
  kept.append(Uint8Array.of(1, 2));
  const before = kept.bytes();
  kept.append(new Uint8Array(5_000).fill(3));
  kept.append(new Uint8Array());
  kept.append(Uint8Array.of(4));
  deepStrictEqual(before, Uint8Array.of(1, 2));
  deepStrictEqual(kept.bytes(), Uint8Array.from([1, 2, ...new Array(5_000).fill(3), 4]));
});

Deno.test("up to the limit everything is stored; one byte more drops all of it for good", () => {
  const kept = new ByteBuffer(1_000);
  kept.append(new Uint8Array(999));
  kept.append(Uint8Array.of(1));
  deepStrictEqual([kept.length, capacityOf(kept)], [1_000, 1_000]);
  kept.append(Uint8Array.of(1));
  deepStrictEqual([kept.length, capacityOf(kept)], [0, 0]);
  kept.append(Uint8Array.of(1));
  strictEqual(kept.length, 0);
});

Deno.test("growing copies each byte a few times at most, however many pieces there are", () => {
  const copied = (count: number) => {
    const kept = new ByteBuffer(count);
    let [copies, capacity] = [0, 0];
    for (let at = 0; at < count; at++) {
      kept.append(Uint8Array.of(at));
      if (capacityOf(kept) !== capacity) copies += at;
      capacity = capacityOf(kept);
    }
    return copies / count;
  };
  ok(copied(100_000) <= 2, `${copied(100_000)}`);
});

Deno.test("a first piece that fills its buffer is stored without a copy, and copied when more comes", () => {
  const kept = new ByteBuffer(10_000);
  const piece = new Uint8Array(3_000).fill(7);
  kept.append(piece);
  strictEqual(kept.bytes().buffer, piece.buffer);
  kept.append(Uint8Array.of(8));
  deepStrictEqual([kept.length, kept.bytes()[2_999], kept.bytes()[3_000]], [3_001, 7, 8]);
  deepStrictEqual(piece, new Uint8Array(3_000).fill(7));
});
