import { deepStrictEqual, rejects } from "node:assert/strict";
import { gather } from "./gather.ts";

/** What asks, and what it was asked for each time; each question takes a while. */
function asking(bounds: Parameters<typeof gather>[1]) {
  const questions: (readonly string[])[] = [];
  const ask = gather(async (keys: readonly string[]) => {
    questions.push(keys);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return keys.map((key) => `about ${key}`);
  }, bounds);
  const askFor = async (key: string) => {
    const { answer, place } = await ask(key);
    return answer[place];
  };
  return { questions, askFor };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("keys of one turn are asked for together, and each gets its own answer", async () => {
  const { questions, askFor } = asking({ atOnce: 2, most: 10 });
  const keys = ["a", "b", "a"];
  deepStrictEqual(await Promise.all(keys.map(askFor)), keys.map((key) => `about ${key}`));
  deepStrictEqual(questions, [keys]);
});

Deno.test("keys that come while enough questions are under way wait, and are asked for together", async () => {
  const { questions, askFor } = asking({ atOnce: 2, most: 10 });
  const all: Promise<unknown>[] = [];
  for (const key of ["a", "b", "c", "d"]) {
    all.push(askFor(key));
    await turn();
  }
  await Promise.all(all);
  deepStrictEqual(questions, [["a"], ["b"], ["c", "d"]]);
});

Deno.test("a key is asked for anew when the question before it is over, and alone", async () => {
  const { questions, askFor } = asking({ atOnce: 1, most: 10 });
  await askFor("a");
  await askFor("a");
  deepStrictEqual(questions, [["a"], ["a"]]);
});

Deno.test("no question is for more keys than are allowed, and none is forgotten", async () => {
  const { questions, askFor } = asking({ atOnce: 1, most: 3 });
  const keys = Array.from({ length: 9 }, (_, place) => `${place}`);
  deepStrictEqual(await Promise.all(keys.map(askFor)), keys.map((key) => `about ${key}`));
  deepStrictEqual(questions.map(({ length }) => length), [3, 3, 3]);
});

Deno.test("a question that fails fails for all who asked, and for nobody after them", async () => {
  let isBroken = true;
  const ask = gather(
    (keys: readonly string[]) =>
      isBroken ? Promise.reject(new Error("broken")) : Promise.resolve(keys),
    { atOnce: 1, most: 10 },
  );
  await Promise.all(["a", "b", "c"].map((key) => rejects(ask(key), /broken/)));
  isBroken = false;
  deepStrictEqual(await ask("d"), { answer: ["d"], place: 0 });
});
