import { deepStrictEqual, rejects } from "node:assert/strict";
import { createBatcher } from "./batcher.ts";
import { delay } from "./timing.ts";

/** What asks, and what it was asked for each time; each question takes a while. */
function running(bounds: Parameters<typeof createBatcher>[1]) {
  const questions: (readonly string[])[] = [];
  const lookUp = createBatcher(async (keys: readonly string[]) => {
    questions.push(keys);
    await delay(50);
    return keys.map((key) => `about ${key}`);
  }, bounds);
  const createTestBatcher = async (key: string) => {
    const { result, index: place } = await lookUp(key);
    return result[place];
  };
  return { questions, createTestBatcher };
}

const turn = () => delay(0);

Deno.test("keys of one turn are asked for together, and each gets its own answer", async () => {
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

Deno.test("keys that come while enough questions are under way wait, and are asked for together", async () => {
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

Deno.test("a key is asked for anew when the question before it is over, and alone", async () => {
  const { questions, createTestBatcher } = running({
    maxConcurrent: 1,
    maxBatchSize: 10,
    slowMs: 1_000,
  });
  await createTestBatcher("a");
  await createTestBatcher("a");
  deepStrictEqual(questions, [["a"], ["a"]]);
});

Deno.test("no question is for more keys than are allowed, and none is forgotten", async () => {
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

Deno.test("a question that takes long doesn't hold up the next", async () => {
  const { questions, createTestBatcher } = running({
    maxConcurrent: 1,
    maxBatchSize: 10,
    slowMs: 10,
  });
  const first = createTestBatcher("a").then(() => "first");
  await turn();
  const second = createTestBatcher("b");
  await turn();
  deepStrictEqual(questions, [["a"]]);
  await delay(25);
  deepStrictEqual(questions, [["a"], ["b"]]);
  await Promise.all([first, second]);
  deepStrictEqual(await createTestBatcher("c"), "about c");
});

Deno.test("a question that fails fails for all who asked, and for nobody after them", async () => {
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
