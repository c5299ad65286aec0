import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { freePort } from "../dev/free_port.ts";
import { ApiError } from "../errors.ts";
import { freshDatabase } from "../testing/database.ts";
import type { OperationId, Role } from "./access.ts";
import { type AuthMode, bearerToken, createGuard } from "./guard.ts";
import { followRevocations } from "./revocations.ts";
import type { Claims } from "./claims.ts";
import { insertAccount } from "../testing/accounts.ts";

const now = () => Math.floor(Date.now() / 1000);

const claimsOf = (sub: string, role: Role = "VIEWER"): Claims => ({
  sub,
  role,
  jti: crypto.randomUUID(),
  iat: now(),
  exp: now() + 1_800,
});

/** A guard that accepts a token "good" for these claims and rejects any other. */
function guardOn(sql: Sql, mode: AuthMode, claims: Claims, metricsToken?: string) {
  const revocations = followRevocations({ sql, log: () => {} });
  const guard = createGuard({
    mode,
    verify: (token) => Promise.resolve(token === "good" ? claims : "malformed"),
    revocations,
    ...(metricsToken !== undefined && { metricsToken }),
  });
  return {
    revocations,
    guard: async (operation: OperationId, headers: Record<string, string> = {}) =>
      await guard(operation, new Headers(headers)),
    [Symbol.dispose]: () => revocations[Symbol.dispose](),
  };
}

const GOOD = { authorization: "Bearer good" };

const refusedAs = (code: ApiError["code"]) => (error: unknown) =>
  error instanceof ApiError && error.code === code;

async function accountIn(sql: Sql, role: Role = "VIEWER"): Promise<string> {
  return (await insertAccount(sql, { role })).id;
}

Deno.test("while PostgreSQL is unavailable a token is accepted in legacy, and refused with 503 in required", async () => {
  const away = connect({ url: `postgres://127.0.0.1:${freePort()}/none`, max: 1 });
  const claims = claimsOf(crypto.randomUUID());
  {
    using legacy = guardOn(away, "legacy", claims);
    // The first check finds out that PostgreSQL is unavailable, the next one already knows it.
    for (const _ of [1, 2]) {
      deepStrictEqual(await legacy.guard("getTraceability", GOOD), { caller: claims });
    }
    deepStrictEqual(await legacy.guard("createLot", GOOD), {
      caller: claims,
      revoked: undefined,
      tokenFault: undefined,
      wouldRefuse: "role",
    });
    using required = guardOn(away, "required", claims);
    await rejects(required.guard("getTraceability", GOOD), refusedAs("revocations_unknown"));
  }
  await away.end({ timeout: 1 });
});

Deno.test("an ended token counts as no token in legacy, and is refused with 401 in required", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const claims = claimsOf(await accountIn(sql, "ADMIN"), "ADMIN");
  const fault = { revoked: claims, tokenFault: "logged_out" } as const;
  using legacy = guardOn(sql, "legacy", claims);
  deepStrictEqual(await legacy.guard("createLot", GOOD), { caller: claims });
  await legacy.revocations.revoke(claims);
  deepStrictEqual(await legacy.guard("createLot", GOOD), {
    caller: undefined,
    ...fault,
    wouldRefuse: "bad_token",
  });
  using required = guardOn(sql, "required", claims);
  await rejects(required.guard("createLot", GOOD), refusedAs("bad_token"));
  await rejects(required.guard("logout", GOOD), refusedAs("bad_token"));
  const again = { ...GOOD, "idempotency-key": "k" };
  deepStrictEqual(await required.guard("logout", again), fault);
  await rejects(required.guard("createLot", again), refusedAs("bad_token"));
  await rejects(
    required.guard("logout", { ...again, authorization: "Bearer other" }),
    refusedAs("bad_token"),
  );
});

Deno.test("a valid token opens what its role may do; public operations need no token", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const claims = claimsOf(await accountIn(sql, "AUDITOR"), "AUDITOR");
  using required = guardOn(sql, "required", claims, "scraper");
  deepStrictEqual(await required.guard("createQcDecision", GOOD), { caller: claims });
  await rejects(required.guard("createLot", GOOD), refusedAs("role"));
  await rejects(required.guard("createLot"), refusedAs("no_token"));
  await rejects(
    required.guard("createLot", { authorization: "Basic good" }),
    refusedAs("no_token"),
  );
  await rejects(required.guard("createLot", { authorization: "Bearer x" }), refusedAs("bad_token"));
  deepStrictEqual(await required.guard("getHealth"), {});
  deepStrictEqual(await required.guard("login", { authorization: "Bearer x" }), {});
  using legacy = guardOn(sql, "legacy", claims);
  deepStrictEqual(await legacy.guard("createLot"), { wouldRefuse: "no_token" });
});

Deno.test("a valid token of any role is enough to log out", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const claims = claimsOf(await accountIn(sql, "VIEWER"), "VIEWER");
  using required = guardOn(sql, "required", claims);
  deepStrictEqual(await required.guard("logout", GOOD), { caller: claims });
});

Deno.test("a token that was just verified is not checked again, in either mode", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const claims = claimsOf(await accountIn(sql, "VIEWER"), "VIEWER");
  using revocations = followRevocations({ sql, log: () => {} });
  strictEqual(await revocations.check(claims), "good");
  const nobody = () => Promise.reject(new Error("PostgreSQL is read for each request"));
  for (const mode of ["legacy", "required"] as const) {
    const guard = createGuard({
      mode,
      verify: () => Promise.resolve(claims),
      revocations: { ...revocations, check: nobody, checkQuickly: nobody },
    });
    deepStrictEqual(await guard("getTraceability", new Headers(GOOD)), { caller: claims });
  }
});

Deno.test("the scraper's token opens the metrics and nothing else", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  using required = guardOn(sql, "required", claimsOf(crypto.randomUUID()), "scraper");
  const scraper = { authorization: "Bearer scraper" };
  deepStrictEqual(await required.guard("getMetrics", scraper), {});
  await rejects(required.guard("createLot", scraper), refusedAs("bad_token"));
  for (const token of ["scrapeR", "scraper1", "scrape"]) {
    await rejects(
      required.guard("getMetrics", { authorization: `Bearer ${token}` }),
      refusedAs("bad_token"),
    );
  }
  using without = guardOn(sql, "required", claimsOf(crypto.randomUUID()));
  await rejects(without.guard("getMetrics", scraper), refusedAs("bad_token"));
});

const HEADERS: [header: string | null, token: string | undefined][] = [
  [null, undefined],
  ["Basic x", undefined],
  ["Bearerx", undefined],
  ["xBearer y", undefined],
  ["Bearer x", "x"],
  ["bEARER   x  ", "x"],
  ["Bearer  x y ", "x y"],
  ["Bearer ", ""],
  ["Bearer      ", ""],
  [`Bearer ${"x".repeat(8_185)}`, "x".repeat(8_185)],
  [`Bearer ${"x".repeat(8_186)}`, ""],
];

for (const [header, token] of HEADERS) {
  const name = JSON.stringify(header)?.slice(0, 20);
  Deno.test(`the header ${name} of ${header?.length ?? 0} characters has ${token === undefined ? "no token" : `a token of ${token.length}`}`, () => {
    strictEqual(bearerToken(header), token);
  });
}
