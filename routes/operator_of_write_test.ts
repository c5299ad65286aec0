import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Role } from "../auth/access.ts";
import { apiInBothModes } from "../testing/both_modes.ts";

const { required, legacy, sql, maker } = await apiInBothModes();

const OWN = "abcdef00-0000-4000-8000-000000000001";
const OTHER = "abcdef00-0000-4000-8000-000000000002";
for (const id of [OWN, OTHER]) {
  await sql`insert into auth.users (id) values (${id})`;
  await sql`insert into users (id, email) values (${id}, ${`${id}@example.com`})`;
}

const WRITES: { path: string; table: string; body: () => object; roles: Role[] }[] = [
  {
    path: "/api/lots",
    table: "lots",
    body: () => ({ lot_code: `OPERATOR-${crypto.randomUUID()}` }),
    roles: ["ADMIN", "MANAGER", "OPERATOR"],
  },
  {
    path: "/api/qc-decisions",
    table: "qc_decisions",
    body: () => ({ decision: "PASS" }),
    roles: ["ADMIN", "MANAGER", "OPERATOR", "AUDITOR"],
  },
];

/** A new token of the account, which has this role from now on. */
const as = async (role: Role) => {
  await sql`update users set role = ${role} where id = ${OWN}`;
  return { authorization: `Bearer ${maker.good({ id: OWN, role })}` };
};

for (const { path, table, body, roles } of WRITES) {
  const count = async () => (await sql`select count(*) as n from ${sql(table)}`)[0]?.n;

  for (const role of roles) {
    const mayWriteForOthers = role === "ADMIN" || role === "MANAGER";

    Deno.test(`required: a write to ${path} by ${role} has the token's account as operator`, async () => {
      for (const sent of [{}, { operator_id: null }, { operator_id: OWN.toUpperCase() }]) {
        const response = await required.post(path, { ...body(), ...sent }, await as(role));
        deepStrictEqual([response.status, response.json.operator_id], [201, OWN]);
      }
    });

    Deno.test(`required: a write to ${path} by ${role} for another is ${mayWriteForOthers ? 201 : 403}`, async () => {
      const before = await count();
      const response = await required.post(path, { ...body(), operator_id: OTHER }, await as(role));
      if (mayWriteForOthers) {
        deepStrictEqual([response.status, response.json.operator_id], [201, OTHER]);
        return;
      }
      deepStrictEqual([response.status, response.json], [403, {
        error: "operator_id must be your own account's id",
      }]);
      strictEqual(await count(), before);
    });
  }

  Deno.test(`required: a broken operator_id to ${path} is 422 for every role`, async () => {
    for (const role of roles) {
      for (const operator_id of ["me", 7, "", [OWN]]) {
        const response = await required.post(path, { ...body(), operator_id }, await as(role));
        strictEqual(response.status, 422, JSON.stringify(operator_id));
      }
    }
  });

  Deno.test(`legacy: a write to ${path} stores the sent operator, and counts another's`, async () => {
    const counted = async () => {
      const { text } = await legacy.get("/metrics");
      const operation = table === "lots" ? "createLot" : "createQcDecision";
      const pattern = `would_refuse_total{operation="${operation}",reason="operator"} `;
      return Number(text.split("\n").find((line) => line.includes(pattern))?.split(" ")[1] ?? 0);
    };
    const cases: [sent: object, stored: string | null, counts: number][] = [
      [{}, null, 0],
      [{ operator_id: null }, null, 0],
      [{ operator_id: OWN }, OWN, 0],
      [{ operator_id: OTHER }, OTHER, 1],
    ];
    for (const [sent, stored, counts] of cases) {
      const before = await counted();
      const response = await legacy.post(path, { ...body(), ...sent }, await as("OPERATOR"));
      deepStrictEqual([response.status, response.json.operator_id], [201, stored]);
      strictEqual(await counted() - before, counts);
    }
    const response = await legacy.post(path, { ...body(), operator_id: OTHER }, await as("ADMIN"));
    deepStrictEqual([response.status, response.json.operator_id], [201, OTHER]);
  });
}
