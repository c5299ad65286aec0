import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { setDisabled, setRole } from "../db/accounts.ts";
import type { TestApi, TestResponse } from "../testing/api.ts";
import { apiInBothModes } from "../testing/both_modes.ts";
import { eventually } from "../testing/eventually.ts";
import { insertAccount } from "../testing/accounts.ts";

/*
 * Why a token is refused: the log and the metrics name the reason for the operator, and every
 * client gets the same response. In AUTH_MODE=legacy no token is refused, and the reasons are
 * recorded alike.
 */

const { required, legacy, sql, maker } = await apiInBothModes();

async function newAccount(role = "ADMIN") {
  const { id } = await insertAccount(sql, { role });
  return { id, role };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const scraper = bearer(maker.good(await newAccount()));

/** Returns the token of an account that was valid until a change. */
const ended = (change: (id: string) => Promise<unknown>) => async (api: TestApi) => {
  const account = await newAccount();
  const token = maker.good(account);
  strictEqual((await trace(api, token)).status, 200);
  await change(account.id);
  return token;
};

/** The faults of a token, by the reason that the operator sees. */
const CASES: [why: string, token: (api: TestApi) => Promise<string>][] = [
  ["expired", async () => maker.faulty("expired", await newAccount())],
  ["not_yet_valid", async () => maker.faulty("with a future iat", await newAccount())],
  ["unknown_key", async () => maker.faulty("signed by a foreign key", await newAccount())],
  ["signature", async () => maker.faulty("of an altered payload", await newAccount())],
  ["audience", async () => maker.faulty("for another audience", await newAccount())],
  ["issuer", async () => maker.faulty("from another issuer", await newAccount())],
  ["algorithm", async () => maker.faulty("of the none algorithm", await newAccount())],
  ["claims", async () => maker.faulty("without jti", await newAccount())],
  ["malformed", () => Promise.resolve("hello")],
  ["logged_out", async (api) => {
    const token = maker.good(await newAccount());
    strictEqual((await api.post("/api/logout", "", bearer(token))).status, 204);
    return token;
  }],
  ["disabled", ended((id) => setDisabled(sql, id, true))],
  ["ended", ended((id) => setRole(sql, id, "ADMIN"))],
  ["no_account", ended(async (id) => await sql`delete from users where id = ${id}`)],
  [
    "other_role",
    ended(async (id) => await sql`update users set role = 'VIEWER' where id = ${id}`),
  ],
  // First sent after the account was deleted, or has another role.
  ["no_account", () => Promise.resolve(maker.good({ id: crypto.randomUUID(), role: "ADMIN" }))],
  ["other_role", async () => maker.good({ ...await newAccount("VIEWER"), role: "ADMIN" })],
];

const trace = (api: TestApi, token: string, headers: HeadersInit = {}) =>
  api.get("/api/traceability/MIX-BATCH-88", { ...bearer(token), ...headers });

/** How often a token on this operation was found invalid for this reason. */
async function counted(api: TestApi, why: string): Promise<number> {
  const { text } = await api.get("/metrics", scraper);
  const name = `lotline_bad_tokens_total{operation="getTraceability",reason="${why}"} `;
  return Number(text.split("\n").find((line) => line.startsWith(name))?.slice(name.length) ?? 0);
}

/** Sends the token until the process knows of its end, and once more under this id. */
async function sendAgain(
  api: TestApi,
  why: string,
  token: string,
): Promise<[string, TestResponse]> {
  await eventually(`it is known: ${why}`, async () => {
    const before = await counted(api, why);
    await trace(api, token);
    return await counted(api, why) === before + 1;
  });
  const id = crypto.randomUUID();
  return [id, await trace(api, token, { "x-request-id": id })];
}

/** All that the client sees, without the parts that change with each response. */
const seen = ({ status, headers, text }: TestResponse) => ({
  status,
  text,
  headers: [...headers].filter(([name]) => !["date", "x-request-id"].includes(name)).sort(),
});

let first: ReturnType<typeof seen> | undefined;
for (const [why, newToken] of CASES) {
  Deno.test(`required: the operator sees that a token is refused as ${why}, the client only that it is refused`, async () => {
    const token = await newToken(required);
    const [id, response] = await sendAgain(required, why, token);
    strictEqual(response.status, 401);
    deepStrictEqual(seen(response), first ??= seen(response));
    const line = JSON.parse(await required.log.find((line) => line.includes(id)));
    deepStrictEqual([line.refused, line.bad_token], ["bad_token", why]);
    // Only a token that we signed names an account for sure.
    const isSigned = !["malformed", "algorithm", "unknown_key", "signature"].includes(why);
    strictEqual(typeof line.user_id, isSigned ? "string" : "undefined");
    ok(!required.log.lines.some((line) => token.length > 20 && line.includes(token.slice(-40))));
  });

  Deno.test(`legacy: a token that required would refuse as ${why} is accepted, and the operator sees it`, async () => {
    const [id, response] = await sendAgain(legacy, why, await newToken(legacy));
    strictEqual(response.status, 200);
    const line = JSON.parse(await legacy.log.find((line) => line.includes(id)));
    deepStrictEqual([line.required_would_refuse, line.bad_token], ["bad_token", why]);
  });
}

Deno.test("required: a refusal not caused by the token is recorded with its own reason", async () => {
  const [viewer, operator] = [await newAccount("VIEWER"), await newAccount("OPERATOR")];
  const other = { lot_code: "OTHER-1", operator_id: viewer.id };
  const cases: [refused: string, path: string, headers: HeadersInit, account?: string][] = [
    ["role", "/api/lots", bearer(maker.good(viewer)), viewer.id],
    ["operator", "/api/lots", bearer(maker.good(operator)), operator.id],
    ["no_token", "/api/lots", {}],
    ["wrong_credentials", "/api/login", {}],
  ];
  for (const [refused, path, headers, account] of cases) {
    const id = crypto.randomUUID();
    await required.post(path, other, { ...headers, "x-request-id": id });
    const line = JSON.parse(await required.log.find((line) => line.includes(id)));
    deepStrictEqual([line.refused, line.bad_token, line.user_id], [refused, undefined, account]);
  }
});

Deno.test("a logout sent again with its key is 204 after its token has ended, also without its account", async () => {
  const { id, role } = await newAccount();
  const token = maker.good({ id, role });
  const headers = { ...bearer(token), "idempotency-key": crypto.randomUUID() };
  strictEqual((await required.post("/api/logout", "", headers)).status, 204);
  await sql`delete from users where id = ${id}`;
  strictEqual((await required.post("/api/logout", "", headers)).status, 204);
  const other = { ...headers, "idempotency-key": crypto.randomUUID() };
  strictEqual((await required.post("/api/logout", "", other)).status, 401);
});
