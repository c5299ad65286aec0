import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { connect } from "../../db/connect.ts";
import { openLinkTo } from "../../testing/black_hole.ts";
import { eventually } from "../../testing/eventually.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";
import { promote, setReadOnly, signalCluster, startPair } from "../../testing/standby.ts";
import { readRoutes, release, setMode } from "../routes/routes_table.ts";
import { GATEWAY_ADMIN_TOKEN, startGateway } from "../testing/gateway.ts";

const NOTE = { who: "ana", why: "a failover" };
/** A frozen server takes seconds to notice, and longer on a busy machine. */
const PATIENCE = { seconds: 60 };

const CASES: Record<
  string,
  (pair: Awaited<ReturnType<typeof startPair>>) => Promise<
    { readonly url: string; switchOver(): Promise<unknown> } & AsyncDisposable
  >
> = {
  "the primary of two hosts is killed": (pair) =>
    Promise.resolve({
      url: pair.url,
      switchOver: async () => {
        await pair.primary.kill();
        await promote(pair.standby);
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  "the primary's machine freezes": (pair) =>
    Promise.resolve({
      url: pair.url,
      switchOver: async () => {
        await signalCluster(pair.primary, "SIGSTOP");
        await promote(pair.standby);
      },
      [Symbol.asyncDispose]: () => signalCluster(pair.primary, "SIGCONT"),
    }),
  "the address leads to another server, and the old one stays up read-only": async (pair) => {
    const link = await openLinkTo(pair.primary.url);
    return {
      url: link.url,
      switchOver: async () => {
        await setReadOnly(pair.primary, "on");
        await promote(pair.standby);
        link.lead(pair.standby.port);
      },
      [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
    };
  },
};

for (const [what, start] of Object.entries(CASES)) {
  Deno.test(`a gateway follows modes and stores a kill after a failover: ${what}`, async () => {
    await using pair = await startPair();
    await using surrounding = await start(pair);
    await using legacy = await startRawUpstream(rawResponse("200 OK", "legacy"));
    await using service = await startRawUpstream(rawResponse("200 OK", "service"));
    const before = connect({ url: pair.primary.url, max: 1 });
    await setMode(before, { operation: "login", mode: { name: "service" }, ...NOTE });
    await before.end({ timeout: 1 });
    await using gateway = await startGateway({
      databaseUrl: surrounding.url,
      legacyUrl: legacy.url,
      serviceUrl: service.url,
    });
    const becomes = (operation: string, mode: string) =>
      eventually(
        `${operation} is ${mode}`,
        async () => (await gateway.modes())[operation] === mode,
        PATIENCE,
      );
    await becomes("login", "service");

    await surrounding.switchOver();
    const sql = connect({ url: pair.standby.url, max: 1 });
    try {
      await setMode(sql, { operation: "getHealth", mode: { name: "service" }, ...NOTE });
      await becomes("getHealth", "service");
      await becomes("login", "service");

      await eventually("a kill is stored", async () => {
        const response = await fetch(`${gateway.adminUrl}/kill`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${GATEWAY_ADMIN_TOKEN}`,
            "content-type": "application/json",
          },
          body: JSON.stringify(NOTE),
        });
        await response.body?.cancel();
        return response.status === 200;
      }, PATIENCE);
      deepStrictEqual((await readRoutes(sql)).killed, NOTE);
      await becomes("login", "legacy");
      await release(sql, NOTE);
      await becomes("login", "service");

      // What it has counted is stored on the new server.
      const sent = await fetch(`${gateway.url}/api/health`);
      strictEqual(await sent.text(), "service");
      await eventually("its evidence is stored", async () => {
        const rows = await sql`select from lotline.route_answers where operation = 'getHealth'`;
        return rows.length > 0;
      }, PATIENCE);
    } finally {
      await sql.end({ timeout: 1 });
    }
  });
}
