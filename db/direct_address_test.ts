import { deepStrictEqual, rejects } from "node:assert/strict";
import { postgresUrl } from "../testing/postgres_servers.ts";
import { directAddress, DirectAddressError, requireDirect } from "./direct_address.ts";
import { problemOf } from "./problems.ts";

const NOWHERE = "postgres://lotline@127.0.0.1:1/plant";

Deno.test("the direct address is that of its setting, or else DATABASE_URL", () => {
  deepStrictEqual(directAddress({ DATABASE_URL: "a" }), { url: "a", setting: "DATABASE_URL" });
  deepStrictEqual(directAddress({ DATABASE_URL: "a", DATABASE_DIRECT_URL: "b" }), {
    url: "b",
    setting: "DATABASE_DIRECT_URL",
  });
});

Deno.test("PostgreSQL itself is direct, also with settings of its own", async () => {
  const url = await postgresUrl(17);
  await requireDirect({ url, setting: "DATABASE_URL" }, "the worker");
  const given = `${url}?options=-c%20geqo%3Doff&application_name=plant`;
  await requireDirect({ url: given, setting: "DATABASE_DIRECT_URL" }, "the worker");
});

Deno.test("an address that says so itself isn't probed", async () => {
  for (const parameter of ["pool_mode=none", "pool_mode=session", "pgbouncer=false"]) {
    await requireDirect({ url: `${NOWHERE}?${parameter}`, setting: "DATABASE_URL" }, "migrate");
  }
  const message =
    "leads through a pooler in transaction mode, and migrate holds locks of a connection";
  for (const parameter of ["pool_mode=transaction", "pgbouncer=true"]) {
    const url = `${NOWHERE}?${parameter}`;
    await rejects(
      requireDirect({ url, setting: "DATABASE_URL" }, "migrate"),
      new DirectAddressError(
        `DATABASE_URL ${message}: set DATABASE_DIRECT_URL to the address of PostgreSQL itself`,
      ),
    );
    await rejects(
      requireDirect({ url, setting: "DATABASE_DIRECT_URL" }, "migrate"),
      new DirectAddressError(
        `DATABASE_DIRECT_URL ${message}: give the address of PostgreSQL itself there`,
      ),
    );
  }
});

Deno.test("a database that can't be reached is neither", async () => {
  await rejects(
    requireDirect({ url: NOWHERE, setting: "DATABASE_URL" }, "migrate"),
    (error) => problemOf(error)?.kind === "unreachable",
  );
});
