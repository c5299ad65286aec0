import { deepStrictEqual, rejects } from "node:assert/strict";
import { createBatcher } from "./batcher.ts";
import { eventually } from "./testing/eventually.ts";
import { delay } from "./timing.ts";

/** A batched function that records the keys of each batch and takes a moment for each, unless set. */
function running(
  bounds: Parameters<typeof createBatcher>[1],
  work: () => Promise<void> = () => delay(50),
) {
  const questions: (readonly string[])[] = [];
  const lookUp = createBatcher(async (keys: readonly string[]) => {
    questions.push(keys);
    await work();
    return keys.map((key) => `about ${key}`);
  }, bounds);
  const createTestBatcher = async (key: string) => {
    const { result, index: place } = await lookUp(key);
    return result[place];
  };
  return { questions, createTestBatcher };
}

const turn = () => delay(0);

Deno.test("keys of one turn share a batch, and each gets its own result", async () => {
  const { questions, createTestBatcher } = running({
    maxConcurrent: 2,
    maxBatchSize: 10,
    slowMs: 1_000,
  });
  const keys = ["a", "b", "a"];
  deepStrictEqual(
    await Promise.all(keys.map(createTestBatcher)),
    keys.map((key) => `about ${key}`),
  );
  deepStrictEqual(questions, [keys]);
});

Deno.test("keys that come while all batches are running wait, and share the next batch", async () => {
  const { questions, createTestBatcher } = running({
    maxConcurrent: 2,
    maxBatchSize: 10,
    slowMs: 1_000,
  });
  const all: Promise<unknown>[] = [];
  for (const key of ["a", "b", "c", "d"]) {
    all.push(createTestBatcher(key));
    await turn();
  }
  await Promise.all(all);
  deepStrictEqual(questions, [["a"], ["b"], ["c", "d"]]);
});

Deno.test("a key that comes after its batch has ended starts a new one, alone", async () => {
  const { questions, createTestBatcher } = running({
    maxConcurrent: 1,
    maxBatchSize: 10,
    slowMs: 1_000,
  });
  await createTestBatcher("a");
  await createTestBatcher("a");
  deepStrictEqual(questions, [["a"], ["a"]]);
});

Deno.test("no batch exceeds the limit of keys, and no key is lost", async () => {
  const { questions, createTestBatcher } = running({
    maxConcurrent: 1,
    maxBatchSize: 3,
    slowMs: 1_000,
  });
  const keys = Array.from({ length: 9 }, (_, place) => `${place}`);
  deepStrictEqual(
    await Promise.all(keys.map(createTestBatcher)),
    keys.map((key) => `about ${key}`),
  );
  deepStrictEqual(questions.map(({ length }) => length), [3, 3, 3]);
});

Deno.test("a slow batch doesn't delay the next", async () => {
  const { promise: end, resolve } = Promise.withResolvers<void>();
  const { questions, createTestBatcher } = running({
    maxConcurrent: 1,
    maxBatchSize: 10,
    slowMs: 200,
  }, () => end);
  const first = createTestBatcher("a");
  await turn();
  const second = createTestBatcher("b");
  await turn();
  deepStrictEqual(questions, [["a"]]);
  await eventually("the next begins", () => questions.length > 1);
  deepStrictEqual(questions, [["a"], ["b"]]);
  resolve();
  await Promise.all([first, second]);
  deepStrictEqual(await createTestBatcher("c"), "about c");
});

Deno.test("a failing batch fails for all its callers, and for no later one", async () => {
  let isBroken = true;
  const lookUp = createBatcher(
    (keys: readonly string[]) =>
      isBroken ? Promise.reject(new Error("broken")) : Promise.resolve(keys),
    { maxConcurrent: 1, maxBatchSize: 10, slowMs: 1_000 },
  );
  await Promise.all(["a", "b", "c"].map((key) => rejects(lookUp(key), /broken/)));
  isBroken = false;
  deepStrictEqual(await lookUp("d"), { result: ["d"], index: 0 });
});
