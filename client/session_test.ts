import { Buffer } from "node:buffer";
import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { delay } from "../timing.ts";
import { LotlineError } from "./errors.ts";
import { renewAfter, Session } from "./session.ts";

const ACCOUNT = { email: "a@example.com", password: "secret" };

/** A token that is good for so many seconds; those of the same lifetime differ by their number. */
function jwt(seconds: number, number = 0): string {
  const claims = { sub: "é?>", iat: 1_000, exp: 1_000 + seconds, number };
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `e30.${payload}.c2ln`;
}

/** A session whose logins give tokens of this lifetime, one after another. */
function sessionOf(seconds: number, start: { token?: string } = {}) {
  const given: string[] = [];
  const signIn = async () => {
    await delay(5);
    given.push(jwt(seconds, given.length));
    return given.at(-1) ?? "";
  };
  return { given, session: new Session(signIn, { login: ACCOUNT, ...start }) };
}

const LIFETIMES: [token: string, milliseconds: number][] = [
  [jwt(1_800), 1_740_000],
  [jwt(60), 30_000],
  [jwt(0), 0],
  ["e30.e30.c2ln", Infinity],
  ["no token", Infinity],
  ["a.!.b", Infinity],
  [`e30.${btoa("null")}.c2ln`, Infinity],
  [`e30.${btoa('{"iat":1,"exp":"2"}')}.c2ln`, Infinity],
];

Deno.test("a token is renewed a minute before its end, or at half of a short life", () => {
  deepStrictEqual(LIFETIMES.map(([token]) => renewAfter(token)), LIFETIMES.map(([, ms]) => ms));
});

Deno.test("requests at the same time share one login, and later ones its token", async () => {
  const { session, given } = sessionOf(1_800);
  const tokens = await Promise.all([session.token(), session.token(), session.token()]);
  tokens.push(await session.token());
  deepStrictEqual([new Set(tokens).size, given.length], [1, 1]);
});

Deno.test("a token that is near its end isn't sent any more", async () => {
  const { session, given } = sessionOf(0);
  await session.token();
  strictEqual(await session.token(), given[1]);
});

Deno.test("a refused token is replaced once, by whichever request notices first", async () => {
  const { session, given } = sessionOf(1_800, { token: "old" });
  strictEqual(await session.token(), "old");
  const both = await Promise.all([session.instead("old"), session.instead("old")]);
  deepStrictEqual([...both, await session.instead("old")], [given[0], given[0], given[0]]);
});

Deno.test("without credentials a token stays as it is, and there is no other", async () => {
  const session = new Session(() => Promise.reject(new Error("asked")), { token: "given" });
  deepStrictEqual([await session.token(), await session.instead("given")], ["given", undefined]);
});

Deno.test("a login that is refused isn't tried again by itself, one that fails otherwise is", async () => {
  for (const [kind, expected] of [["unauthorized", 1], ["away", 2]] as const) {
    let logins = 0;
    const session = new Session(() => {
      logins++;
      return Promise.reject(new LotlineError(kind, "No"));
    }, { login: ACCOUNT });
    await rejects(session.token(), { kind });
    await rejects(session.token(), { kind });
    strictEqual(logins, expected, kind);
    session.start(ACCOUNT, "by hand");
    strictEqual(await session.token(), "by hand");
    await rejects(session.instead("by hand"), { kind });
    strictEqual(logins, expected + 1, "what was refused before counts no more");
  }
});

Deno.test("the end gives the token of a login under way, and nothing logs in after it", async () => {
  const { session, given } = sessionOf(1_800);
  const requested = session.token();
  strictEqual(await session.end(), await requested);
  session.forget();
  deepStrictEqual([await session.token(), given.length], [undefined, 1]);
});

Deno.test("a login by hand isn't replaced by one that began before, or by an end", async () => {
  const { session } = sessionOf(1_800);
  const requested = session.token();
  session.start({ email: "b@example.com" }, jwt(1_800, 99));
  await requested;
  strictEqual(await session.token(), jwt(1_800, 99));
  await session.end();
  session.start(ACCOUNT, jwt(1_800, 100));
  session.forget();
  strictEqual(await session.token(), jwt(1_800, 100));
});
