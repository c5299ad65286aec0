import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
  throws,
} from "node:assert/strict";
import { ApiError } from "../errors.ts";
import { delay } from "../timing.ts";
import { costOf, hashPassword } from "./password_work.ts";
import { createPasswords, isOutdated } from "./passwords.ts";

const PASSWORD = "correct horse battery";
// Made by another program (bcryptjs 3.0.2, cost 5), so that a bug in our library can't hide itself.
const FOREIGN = "$2b$05$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo.";

const passwords = createPasswords(2);
/** Where today's cost is no matter: some hashes cost less than 2^6, and some more. */
const cheap = createPasswords(2, 6);
const check = async (password: string, hash: string | null | undefined, of = cheap) => {
  using place = of.acquireSlot(password);
  return await place.check(hash) !== undefined;
};
const hashAnew = async (password: string) => {
  using place = passwords.acquireSlot(password);
  return await place.hash(password);
};
Deno.test.afterAll(() => [passwords, cheap].forEach((pool) => pool[Symbol.dispose]()));

Deno.test("the right password of a hash is accepted, any other is rejected", async () => {
  for (const cost of [4, 6, 10]) {
    const hash = await hashPassword(PASSWORD, cost);
    strictEqual(costOf(hash), cost);
    strictEqual(await check(PASSWORD, hash), true);
    strictEqual(await check(`${PASSWORD} `, hash), false);
  }
});

Deno.test("a hash made by another program is accepted", async () => {
  strictEqual(await check("correct horse battery", FOREIGN), true);
  strictEqual(await check("correct horse", FOREIGN), false);
});

Deno.test("without a hash, or with an invalid one, every password is rejected", async () => {
  const hash = await hashPassword(PASSWORD, 4);
  const none = [null, undefined, "", PASSWORD, hash.slice(1), `${hash}.`, ` ${hash}`];
  const odd = ["$2x$04$", "$1$04$", "$2a$03$", "$2a$16$", "$2a$99$", "$2a$4$"];
  for (const text of [...none, ...odd.map((start) => start + hash.slice(7))]) {
    strictEqual(await check(PASSWORD, text), false, String(text));
    strictEqual(costOf(text ?? null), undefined);
  }
});

Deno.test("a password of 72 bytes is compared completely, a longer one is rejected", async () => {
  const max = "é".repeat(36);
  const hash = await hashPassword(max, 4);
  strictEqual(await check(max, hash), true);
  strictEqual(await check(max.slice(1) + "e", hash), false);
  for (const longer of [`${max}x`, max + max]) {
    strictEqual(await check(longer, hash), false);
  }
  strictEqual(await check("", hash), false);
});

Deno.test("a new hash has cost 12, and a new salt each time", async () => {
  const [one, other] = await Promise.all([hashAnew(PASSWORD), hashAnew(PASSWORD)]);
  notStrictEqual(one, other);
  for (const hash of [one, other]) {
    match(hash, /^\$2a\$12\$/);
    strictEqual(await check(PASSWORD, hash, passwords), true);
  }
});

Deno.test("a hash is outdated when its cost is below today's", async () => {
  const outdated = new Map([[4, true], [11, true], [12, false], [13, false]]);
  const hash = await hashPassword(PASSWORD, 4);
  for (const [cost, expected] of outdated) {
    strictEqual(isOutdated(hash.replace("$04$", `$${String(cost).padStart(2, "0")}$`)), expected);
  }
  for (const none of [null, "", "x"]) strictEqual(isOutdated(none), false);
});

Deno.test("concurrent checks each get their own result", async () => {
  const texts = Array.from({ length: 12 }, (_, i) => `password ${i}`);
  const hashes = await Promise.all(texts.map((text) => hashPassword(text, 4)));
  const responses = await Promise.all(
    texts.map((text, i) => check(text, hashes[i % 3 === 0 ? i : 0])),
  );
  deepStrictEqual(responses, texts.map((_, i) => i % 3 === 0));
});

Deno.test("a password matches in the form that its hash was made from, and the result names that form", async () => {
  const forms = ["\u00ea\u0301", "\u1ebf", "e\u0302\u0301"].map((form) => `${form} ${PASSWORD}`);
  const hashes = await Promise.all(forms.map((form) => hashPassword(form, 4)));
  const [mixed = "", ...both] = forms;
  for (const [i, hash] of hashes.entries()) {
    using place = cheap.acquireSlot(mixed);
    strictEqual(await place.check(hash), forms[i]);
    for (const typed of both) strictEqual(await check(typed, hash), i > 0);
  }
  strictEqual(await check(`é ${PASSWORD}`, hashes[0]), false);
});

Deno.test("slots are counted in hashes: a password takes one for each of its forms, whatever the hash", async () => {
  using one = createPasswords(1, 4);
  const [ascii, composed, mixed] = ["a", "\u00e4", "\u00ea\u0301"];
  ok(ascii && composed && mixed);
  const hash = await hashPassword(composed, 4);
  const places = [mixed, mixed, mixed, mixed, composed, composed].map(one.acquireSlot);
  for (const password of [mixed, composed]) throws(() => one.acquireSlot(password), ApiError);
  // A check releases its slots if it was right, wrong, or had no hash.
  for (const [i, of] of [null, hash, "x"].entries()) await places[i]?.check(of);
  throws(() => one.acquireSlot(composed), ApiError);
  one.acquireSlot(ascii);
  throws(() => one.acquireSlot(ascii), ApiError);
  places[0]?.[Symbol.dispose]();
  one.acquireSlot(mixed);
  throws(() => one.acquireSlot(ascii), ApiError);
});

Deno.test("each thread has 17 slots; one more request gets 429, until a slot is free", () => {
  using one = createPasswords(1);
  const places = Array.from({ length: 17 }, () => one.acquireSlot(PASSWORD));
  throws(() => one.acquireSlot(PASSWORD), (error) => {
    ok(error instanceof ApiError);
    deepStrictEqual([error.code, error.status], ["too_many_logins", 429]);
    match(error.headers["retry-after"] ?? "", /^[1-9]\d*$/);
    return true;
  });
  places[3]?.[Symbol.dispose]();
  one.acquireSlot(PASSWORD);
  throws(() => one.acquireSlot(PASSWORD), ApiError);
});

Deno.test("the thread that serves requests keeps running while passwords are hashed", async () => {
  let turns = 0;
  let isOver = false;
  const counting = (async () => {
    while (!isOver) {
      await delay(0);
      turns++;
    }
  })();
  await Promise.all(Array.from({ length: 4 }, () => check(PASSWORD, null, passwords)));
  isOver = true;
  await counting;
  // A hash on this thread would allow only one or two turns each.
  ok(turns > 40, `${turns} turns`);
});

Deno.test("a failing thread fails the checks that wait for it, and the next check starts another thread", async () => {
  using one = createPasswords(1, 4);
  const before = check(PASSWORD, null, one);
  // No caller can send this: it is the only fault that a test can cause from outside.
  using place = one.acquireSlot(PASSWORD);
  const failing = place.hash({} as unknown as string);
  await rejects(failing, /a password thread failed/);
  strictEqual(await before, false);
  strictEqual(await check(PASSWORD, await hashPassword(PASSWORD, 4), one), true);
});
