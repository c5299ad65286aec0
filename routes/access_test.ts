import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { ROLES } from "../auth/access.ts";
import type { TokenSubject } from "../auth/tokens.ts";
import { setDisabled } from "../db/accounts.ts";
import type { TestApi, TestResponse } from "../testing/api.ts";
import { apiInBothModes } from "../testing/both_modes.ts";
import { eventually } from "../testing/eventually.ts";
import { TOKEN_FAULTS, type TokenFault } from "../testing/tokens.ts";
import { ErrorResponse } from "./responses.ts";
import { insertAccount } from "../testing/accounts.ts";

/*
 * Every route × role × kind of token, against one API in AUTH_MODE=required and one in
 * AUTH_MODE=legacy on the same database and keys.
 */

const { required, legacy, sql, maker } = await apiInBothModes();

const AUDIT = crypto.randomUUID();
await sql`insert into lotline.audits (id, job_id) values (${AUDIT}, ${AUDIT})`;

/** An account of each role, and one without: `null`. */
const ACCOUNTS = await Promise.all([...ROLES, null].map(newAccount));

async function newAccount(role: TokenSubject["role"]): Promise<TokenSubject> {
  const { id } = await insertAccount(sql, { role });
  return { id, role };
}

type SendRequest = (api: TestApi, headers: HeadersInit) => Promise<TestResponse>;

/** A trace that is waiting. */
const [{ id: traceId } = { id: "" }] = await sql<{ id: string }[]>`
  insert into lotline.traces (lot_id, lot_code, direction, at_most)
  select id, lot_code, 'both', 1 from lots limit 1 returning id`;

let lots = 0;
const OPERATIONS: { name: string; ask: SendRequest; success: number; roles: (string | null)[] }[] =
  [
    {
      name: "getTraceability",
      ask: (api, headers) => api.get("/api/traceability/MIX-BATCH-88", headers),
      success: 200,
      roles: ["ADMIN", "MANAGER", "AUDITOR", "OPERATOR", "VIEWER"],
    },
    {
      name: "createLot",
      ask: (api, headers) => api.post("/api/lots", { lot_code: `ACCESS-${lots++}` }, headers),
      success: 201,
      roles: ["ADMIN", "MANAGER", "OPERATOR"],
    },
    {
      name: "createQcDecision",
      ask: (api, headers) => api.post("/api/qc-decisions", { decision: "PASS" }, headers),
      success: 201,
      roles: ["ADMIN", "MANAGER", "AUDITOR", "OPERATOR"],
    },
    {
      name: "createDeepTrace",
      ask: (api, headers) =>
        api.post("/api/traces", { lot_code: "MIX-BATCH-88", direction: "both" }, headers),
      success: 200,
      roles: ["ADMIN", "MANAGER", "AUDITOR", "OPERATOR", "VIEWER"],
    },
    {
      name: "getDeepTrace",
      ask: (api, headers) => api.get(`/api/traces/${traceId}`, headers),
      success: 200,
      roles: ["ADMIN", "MANAGER", "AUDITOR", "OPERATOR", "VIEWER"],
    },
    {
      name: "createAudit",
      ask: (api, headers) => api.post("/api/audits", {}, headers),
      success: 202,
      roles: ["ADMIN", "MANAGER", "AUDITOR"],
    },
    {
      name: "listAudits",
      ask: (api, headers) => api.get("/api/audits", headers),
      success: 200,
      roles: ["ADMIN", "MANAGER", "AUDITOR"],
    },
    {
      name: "getAudit",
      ask: (api, headers) => api.get(`/api/audits/${AUDIT}`, headers),
      success: 200,
      roles: ["ADMIN", "MANAGER", "AUDITOR"],
    },
    {
      name: "logout",
      ask: (api, headers) => api.post("/api/logout", "", headers),
      success: 204,
      roles: ["ADMIN", "MANAGER", "AUDITOR", "OPERATOR", "VIEWER", null],
    },
    {
      name: "getMetrics",
      ask: (api, headers) => api.get("/metrics", headers),
      success: 200,
      roles: ["ADMIN", "MANAGER"],
    },
  ];

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** How many rows there are that a request could have added. */
async function rowCounts() {
  return await sql`select (select count(*) from lots) as lots,
    (select count(*) from qc_decisions) as decisions,
    (select count(*) from lotline.traces) as traces,
    (select count(*) from lotline.audits) as audits,
    (select count(*) from lotline.revoked_tokens) as tokens`;
}

/** The response without a valid token: the sentence and the challenge of RFC 6750. */
function isRefused(response: TestResponse, error: string, challenge: RegExp): void {
  deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [401, { error }]);
  match(response.headers.get("www-authenticate") ?? "", challenge);
}

const NO_TOKEN: [error: string, challenge: RegExp] = [
  "A token is needed: log in",
  /^Bearer realm="lotline"$/,
];
const BAD_TOKEN: [error: string, challenge: RegExp] = [
  "The token is not valid, or not any more: log in again",
  /^Bearer realm="lotline", error="invalid_token"$/,
];

for (const { name, ask: send, success, roles } of OPERATIONS) {
  for (const subject of ACCOUNTS) {
    const { role } = subject;
    Deno.test(`required: ${name} by ${role ?? "an account without a role"} with a valid token`, async () => {
      const response = await send(required, bearer(maker.good(subject)));
      if (roles.includes(role)) return strictEqual(response.status, success);
      deepStrictEqual([response.status, response.json], [403, {
        error: "Your role may not do this",
      }]);
    });
  }

  Deno.test(`required: ${name} without a token is 401 and changes nothing`, async () => {
    const before = await rowCounts();
    const headers: HeadersInit[] = [
      {},
      { authorization: "" },
      { authorization: "Basic YTpi" },
      { authorization: maker.good({ id: crypto.randomUUID(), role: "ADMIN" }) },
      { "x-authorization": `Bearer ${maker.good({ id: crypto.randomUUID(), role: "ADMIN" })}` },
    ];
    for (const sent of headers) isRefused(await send(required, sent), ...NO_TOKEN);
    deepStrictEqual(await rowCounts(), before);
  });

  for (const fault of Object.keys(TOKEN_FAULTS) as TokenFault[]) {
    Deno.test(`required: ${name} with a token ${fault} is 401 for every role`, async () => {
      const before = await rowCounts();
      for (const subject of ACCOUNTS) {
        const response = await send(required, bearer(maker.faulty(fault, subject)));
        isRefused(response, ...BAD_TOKEN);
      }
      deepStrictEqual(await rowCounts(), before);
    });
  }
}

for (const role of [...ROLES, null]) {
  const who = role ?? "an account without a role";

  Deno.test(`required: no route accepts the token of a disabled account, of ${who}`, async () => {
    const subject = await newAccount(role);
    const headers = bearer(maker.good(subject));
    await setDisabled(sql, subject.id, true);
    await eventually("the token is refused", async () => {
      return (await required.get("/metrics", headers)).status === 401;
    });
    for (const { ask: send } of OPERATIONS) isRefused(await send(required, headers), ...BAD_TOKEN);
  });

  Deno.test(`required: no route accepts a token that was logged out, of ${who}`, async () => {
    const headers = bearer(maker.good(await newAccount(role)));
    strictEqual((await required.post("/api/logout", "", headers)).status, 204);
    for (const { ask: send } of OPERATIONS) isRefused(await send(required, headers), ...BAD_TOKEN);
  });
}

Deno.test("required: a logout ends one token, not the account's others", async () => {
  const [subject] = ACCOUNTS;
  if (subject === undefined) throw new Error("no account");
  const [one, other] = [bearer(maker.good(subject)), bearer(maker.good(subject))];
  strictEqual((await required.post("/api/logout", "", one)).status, 204);
  strictEqual((await required.get("/metrics", one)).status, 401);
  strictEqual((await required.get("/metrics", other)).status, 200);
});

Deno.test("required: health, login, documents, keys and probes need no token", async () => {
  const open = ["/api/health", "/.well-known/jwks.json", "/livez", "/readyz"];
  for (const path of [...open, "/openapi.yaml", "/openapi.json", "/openapi-3.0.json", "/docs"]) {
    for (const headers of [{}, bearer("hello")]) {
      strictEqual((await required.get(path, headers)).status, 200, path);
    }
  }
  const response = await required.post("/api/login", {}, bearer("hello"));
  strictEqual(response.json.error, "Wrong email or password");
});

Deno.test("required: a path in another case, or of the other method, is guarded as well", async () => {
  for (const path of ["/API/Traceability/MIX-BATCH-88", "/api/traceability/MIX-BATCH-88/"]) {
    isRefused(await required.get(path), ...NO_TOKEN);
    const head = await required.send(path, { method: "HEAD" });
    strictEqual(head.status, 401);
  }
});

Deno.test("required: an unknown path is 404 and another method 405, with a token and without", async () => {
  for (const headers of [{}, bearer(maker.good({ id: crypto.randomUUID(), role: null }))]) {
    strictEqual((await required.get("/api/nothing", headers)).status, 404);
    strictEqual((await required.get("/api/lots", headers)).status, 405);
  }
});

Deno.test("required: the word Bearer may have any case and spaces after it (RFC 9110)", async () => {
  const [subject] = ACCOUNTS;
  if (subject === undefined) throw new Error("no account");
  for (const word of ["bearer ", "BEARER ", "Bearer   "]) {
    const headers: HeadersInit = { authorization: `${word}${maker.good(subject)} ` };
    strictEqual((await required.get("/metrics", headers)).status, 200, word);
  }
});

/** The counter of these metrics for an operation and reason. */
function counted({ text }: TestResponse, name: string, operation: string, reason: string): number {
  const line = text.split("\n").find((line) =>
    line.startsWith(`${name}{operation="${operation}",reason="${reason}"}`)
  );
  return Number(line?.split(" ").at(-1) ?? 0);
}

Deno.test("required: refusals are counted by operation and reason", async () => {
  const [admin, viewer, operator] = await Promise.all(
    ["ADMIN", "VIEWER", "OPERATOR"].map(async (role) => bearer(maker.good(await newAccount(role)))),
  );
  const refused = async (reason: string) => {
    const metrics = await required.get("/metrics", admin);
    return counted(metrics, "lotline_refused_total", "createQcDecision", reason);
  };
  const other = { decision: "PASS", operator_id: crypto.randomUUID() };
  const cases: [reason: string, headers: HeadersInit | undefined][] = [
    ["no_token", {}],
    ["bad_token", bearer("hello")],
    ["role", viewer],
    ["operator", operator],
  ];
  for (const [reason, headers] of cases) {
    const before = await refused(reason);
    await required.post("/api/qc-decisions", other, headers);
    strictEqual(await refused(reason) - before, 1, reason);
  }
});

/** How often the API counted that `required` would have refused an operation. */
async function wouldRefuse(operation: string, reason: string): Promise<number> {
  const metrics = await legacy.get("/metrics");
  return counted(metrics, "lotline_required_would_refuse_total", operation, reason);
}

for (const { name, ask: send, success, roles } of OPERATIONS) {
  Deno.test(`legacy: ${name} is admitted with any token, and counted`, async () => {
    const disabled = await newAccount("ADMIN");
    const loggedOut = maker.good(await newAccount("ADMIN"));
    await legacy.post("/api/logout", "", bearer(loggedOut));
    await setDisabled(sql, disabled.id, true);
    await eventually("the account is known to be disabled", async () => {
      const before = await wouldRefuse("getMetrics", "bad_token");
      await legacy.get("/metrics", bearer(maker.good(disabled)));
      return await wouldRefuse("getMetrics", "bad_token") > before;
    });
    const bad = [
      ...Object.keys(TOKEN_FAULTS).map((fault) =>
        // This mode accepts a token of its own login, like every other valid one.
        fault === "from a login without a password"
          ? "other"
          : maker.faulty(fault as TokenFault, disabled)
      ),
      maker.good(disabled),
      loggedOut,
    ];
    const before = await wouldRefuse(name, "bad_token");
    for (const token of bad) strictEqual((await send(legacy, bearer(token))).status, success);
    strictEqual(await wouldRefuse(name, "bad_token") - before, bad.length);
  });

  Deno.test(`legacy: ${name} without a token is admitted, and counted`, async () => {
    const before = await wouldRefuse(name, "no_token");
    strictEqual((await send(legacy, {})).status, success);
    // Reading the counters is such a request itself: the first reading is in the second.
    const readings = name === "getMetrics" ? 1 : 0;
    strictEqual(await wouldRefuse(name, "no_token") - before, 1 + readings);
  });

  Deno.test(`legacy: ${name} with a valid token is counted where the role is too low`, async () => {
    const before = await wouldRefuse(name, "role");
    const [noToken, badToken] = [
      await wouldRefuse(name, "no_token"),
      await wouldRefuse(name, "bad_token"),
    ];
    for (const subject of ACCOUNTS) {
      strictEqual((await send(legacy, bearer(maker.good(subject)))).status, success);
    }
    strictEqual(await wouldRefuse(name, "role") - before, ACCOUNTS.length - roles.length);
    strictEqual(await wouldRefuse(name, "bad_token"), badToken);
    if (name !== "getMetrics") strictEqual(await wouldRefuse(name, "no_token"), noToken);
  });
}

Deno.test("legacy: the log line of a request says why required would have refused it", async () => {
  const viewer = ACCOUNTS.find(({ role }) => role === "VIEWER");
  if (viewer === undefined) throw new Error("no viewer");
  const cases: [HeadersInit, string | undefined][] = [
    [{}, "no_token"],
    [bearer("hello"), "bad_token"],
    [bearer(maker.good(viewer)), "role"],
    [bearer(maker.good({ ...viewer, role: "OPERATOR" })), "bad_token"],
    [bearer(maker.good(await newAccount("OPERATOR"))), undefined],
  ];
  for (const [headers, reason] of cases) {
    const id = crypto.randomUUID();
    const response = await legacy.post("/api/lots", { lot_code: `LOG-${id}` }, {
      ...headers,
      "x-request-id": id,
    });
    strictEqual(response.status, 201);
    const line = JSON.parse(await legacy.log.find((line) => line.includes(id)));
    strictEqual(line.required_would_refuse, reason);
  }
});

Deno.test("no token is in a log", () => {
  for (const api of [required, legacy]) {
    for (const line of api.log.lines) strictEqual(/eyJ|Bearer/i.test(line), false, line);
  }
});
