import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { openSession } from "../../db/session.ts";
import { freshDatabase } from "../../testing/database.ts";
import { loadApprovals } from "../compare/approvals.ts";
import { insertThresholds, readThresholds } from "../rollout/thresholds.ts";
import { kill, release, rollBack } from "../routes/routes_table.ts";
import {
  evidenceAt,
  gatewayRan,
  givenStory,
  lastChangeWas,
  modeAt,
  movedWell,
  STORY_END,
  STORY_START,
} from "../testing/cutover_story.ts";
import { toHtml } from "./html.ts";
import { toMarkdown } from "./markdown.ts";
import { answerOf, reasonsOf } from "./overview.ts";
import { readReport } from "./read_report.ts";
import { documentOf, TITLE, toJson } from "./report_document.ts";

const approvals = await loadApprovals();
const database = await freshDatabase();
const { sql } = database;
const session = openSession(database.url, { name: "lotline-test" });
Deno.test.afterAll(async () => {
  await session[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const NOTE = { who: "bob", why: "a test" };
const BUILD = { version: "0.1.0", commit: "abcdef0" };

const report = (
  options: { since?: string; until?: string; oldServer?: string } = {},
  approved = approvals,
) => readReport(session.sql, { until: STORY_END, build: BUILD, ...options }, approved);

/** Sets limits as if at that moment. */
async function limitsAt(values: Partial<Awaited<ReturnType<typeof readThresholds>>>, at: string) {
  await insertThresholds(sql, { ...await readThresholds(sql), ...values }, NOTE);
  await sql`update lotline.cutover_limits set at = ${at}
    where id = (select max(id) from lotline.cutover_limits)`;
}

Deno.test("a whole cutover that nothing speaks against: yes, in all three forms", async () => {
  await givenStory(sql);
  const data = await report({ oldServer: "Express 4.18, build 2019-03" });
  deepStrictEqual([reasonsOf(data), answerOf(data)], [[], "yes"]);
  const lot = data.routes.find(({ operation }) => operation === "createLot");
  deepStrictEqual(lot?.readiness, {
    ready: true,
    because: [],
    since: "2025-11-20T08:00:00.000Z",
    days: 29.67,
    monthEnds: ["2025-11"],
    comparisons: 600,
  });
  const page = toMarkdown(documentOf(data));
  match(page, /^# Evidence of the cutover\n\n> \*\*Ready to retire the old server: yes\*\*\n/);
  match(page, /\n- Made by Lotline 0\.1\.0, commit abcdef0\.\n/);
  match(page, /\n- Gateways: 0\.1\.0, commit abcdef0, from 2025-11-01T.* to 2025-12-20T/);
  match(page, /\n- The old server: Express 4\.18, build 2019-03\.\n/);
  match(
    page,
    /\| createLot \| yes \| service \| 2025-11-20T08:00:00\.000Z \| 29\.67 \| 2025-11 \| 600 \(write\) \|/,
  );
  match(
    toHtml(TITLE, documentOf(data)),
    /<p class="notice good">Ready to retire the old server: yes</,
  );
  strictEqual(JSON.parse(toJson(data)).ready, true);
});

Deno.test("what isn't known is not told", async () => {
  await givenStory(sql);
  await sql`truncate lotline.gateway_runs`;
  const page = toMarkdown(documentOf(
    await readReport(
      session.sql,
      { until: STORY_END, build: { version: "0.1.0", commit: undefined } },
      approvals,
    ),
  ));
  match(page, /\n- Made by Lotline 0\.1\.0, commit not told\.\n/);
  match(page, /\n- Gateways: none noted that it ran\.\n/);
  match(page, /\n- The old server: not told\.\n/);
});

/** Something that keeps the old server needed, beside a story that is healthy otherwise. */
interface Obstacle {
  readonly what: string;
  readonly given: (sql: Sql) => Promise<unknown>;
  /** The only reason. */
  readonly because: RegExp;
}

const SHADOW = [{ name: "shadow" }, "2025-11-05T08:00:00.000Z"] as const;

const OBSTACLES: readonly Obstacle[] = [
  {
    what: "an operation on a canary",
    async given(sql) {
      await givenStory(sql, { except: ["createLot"] });
      await movedWell(sql, "createLot", [
        SHADOW,
        [{ name: "canary", percent: 10 }, "2025-11-10T08:00:00.000Z"],
      ]);
    },
    because: /^createLot: it is on canary 10 %, and must be on service for 14 days$/,
  },
  {
    what: "an operation that nobody ever moved",
    given: (sql) => givenStory(sql, { except: ["createQcDecision"] }),
    because: /^createQcDecision: it is on legacy, and must be on service for 14 days$/,
  },
  {
    what: "too few days",
    async given(sql) {
      await givenStory(sql, { except: ["login"] });
      await movedWell(sql, "login", [SHADOW, [{ name: "service" }, "2025-11-26T12:00:00.000Z"]]);
      await sql`delete from lotline.gateway_runs`;
      await gatewayRan(sql, STORY_START, "2025-12-10T08:00:00.000Z");
    },
    because:
      /^login: it is on service for 13\.8 of 14 days: 9\.\d days without a gateway don't count$/,
  },
  {
    what: "no month's end",
    async given(sql) {
      await givenStory(sql, { except: ["login"] });
      await movedWell(sql, "login", [SHADOW, [{ name: "service" }, "2025-11-30T12:00:00.000Z"]]);
    },
    because: /^login: no month's end was seen on service, with the day before and the day after$/,
  },
  {
    what: "a month's end without a gateway",
    async given(sql) {
      await givenStory(sql);
      await sql`truncate lotline.gateway_runs`;
      await gatewayRan(sql, STORY_START, "2025-11-30T23:00:00.000Z");
      await gatewayRan(sql, "2025-12-01T02:00:00.000Z", STORY_END);
    },
    because:
      /^(getHealth|login|getTraceability|createLot|createQcDecision): no month's end was seen/,
  },
  {
    what: "a gateway that was down for most of the time",
    async given(sql) {
      await givenStory(sql);
      await sql`truncate lotline.gateway_runs`;
      await gatewayRan(sql, STORY_START, "2025-12-02T08:00:00.000Z");
      await gatewayRan(sql, "2025-12-19T08:00:00.000Z", STORY_END);
    },
    because: /: it is on service for 12\.6 of 14 days: 16\.9 days without a gateway don't count$/,
  },
  {
    what: "the kill switch, some days ago",
    async given(sql) {
      await givenStory(sql);
      await kill(sql, NOTE);
      await lastChangeWas(sql, "2025-12-10T08:00:00.000Z");
      await release(sql, NOTE);
      await lastChangeWas(sql, "2025-12-10T09:00:00.000Z");
      const routes = await sql<{ operation: "login"; epoch: number }[]>`
        select operation, epoch from lotline.routes`;
      for (const { operation, epoch } of routes) {
        const isRead = !operation.startsWith("create");
        await evidenceAt(sql, {
          operation,
          epoch,
          at: "2025-12-11T00:00:00.000Z",
          ...!isRead && { legacy: 0, outcomes: {} },
        });
      }
    },
    because:
      /: it is on service for 9\.6 of 14 days, since the kill switch was released at 2025-12-10T09:00:00.000Z$|: no month's end/,
  },
  {
    what: "the kill switch, now",
    async given(sql) {
      await givenStory(sql);
      await kill(sql, NOTE);
      await lastChangeWas(sql, "2025-12-19T08:00:00.000Z");
    },
    because:
      /^the kill switch is on \(bob: a test\)$|: the kill switch is on \(bob: a test\), so that the old server responds$/,
  },
  {
    what: "too few samples of a read",
    async given(sql) {
      await givenStory(sql, { except: ["getHealth"] });
      await modeAt(sql, "getHealth", { name: "shadow" }, SHADOW[1]);
      const epoch = await modeAt(sql, "getHealth", { name: "service" }, "2025-11-20T08:00:00.000Z");
      await evidenceAt(sql, {
        operation: "getHealth",
        epoch,
        at: "2025-11-21T08:00:00.000Z",
        legacy: 20,
        service: 20,
        outcomes: { same: 20 },
      });
    },
    because:
      /^getHealth: service from .* was inconclusive: 20 of 200 responses of Lotline; .*20 of 200 comparisons without a difference/,
  },
  {
    what: "a read without any traffic on service",
    async given(sql) {
      await givenStory(sql, { except: ["getHealth"] });
      await modeAt(sql, "getHealth", { name: "service" }, "2025-11-20T08:00:00.000Z");
    },
    because: /^getHealth: service from .* was inconclusive: no request was seen$/,
  },
  {
    what: "a write that was never compared",
    async given(sql) {
      await givenStory(sql, { except: ["createLot"] });
      await modeAt(sql, "createLot", { name: "legacy" }, STORY_START);
      const before = { operation: "createLot", epoch: 0, at: "2025-11-02T00:00:00.000Z" } as const;
      await evidenceAt(sql, { ...before, service: 0, outcomes: {} });
      await movedWell(sql, "createLot", [[{ name: "service" }, "2025-11-20T08:00:00.000Z"]]);
    },
    because:
      /^createLot: no write was compared in this period before createLot was on service: shadow it first, or begin the report earlier$/,
  },
  {
    what: "a write that was compared too seldom",
    async given(sql) {
      await givenStory(sql, { except: ["createLot"] });
      const epoch = await modeAt(sql, "createLot", { name: "shadow" }, SHADOW[1]);
      const at = "2025-11-06T08:00:00.000Z";
      await evidenceAt(sql, { operation: "createLot", epoch, at, outcomes: { same: 30 } });
      await movedWell(sql, "createLot", [[{ name: "service" }, "2025-11-20T08:00:00.000Z"]]);
    },
    because:
      /^createLot: shadow from .* was inconclusive: 30 of 200 comparisons without a difference$/,
  },
  {
    what: "lost evidence",
    async given(sql) {
      await givenStory(sql, { except: ["getTraceability"] });
      await modeAt(sql, "getTraceability", { name: "shadow" }, SHADOW[1]);
      const mode = { name: "service" } as const;
      const epoch = await modeAt(sql, "getTraceability", mode, "2025-11-20T08:00:00.000Z");
      const at = "2025-11-21T08:00:00.000Z";
      const outcomes = { same: 300, lost: 100 };
      await evidenceAt(sql, { operation: "getTraceability", epoch, at, outcomes });
    },
    because:
      /^getTraceability: service from .* was inconclusive: 100 of 400 comparisons were lost \(unknown 100\), more than 5 %$/,
  },
  {
    what: "a difference that nobody approved",
    async given(sql) {
      await givenStory(sql);
      await sql`insert into lotline.route_outcomes
        select 'getTraceability', epoch, '2025-12-01T08:00Z', 'different', '', 2
        from lotline.routes where operation = 'getTraceability'`;
    },
    because: /^getTraceability: service from .* was a fail: 2 unapproved differences$/,
  },
  {
    what: "a difference in the shadow of a write",
    async given(sql) {
      await givenStory(sql);
      await sql`insert into lotline.route_outcomes
        values ('createLot', 1, '2025-11-06T08:00Z', 'different', '', 1)`;
    },
    because: /^createLot: shadow from .* was a fail: 1 unapproved difference$/,
  },
  {
    what: "an automatic rollback that nobody cleared",
    async given(sql) {
      await givenStory(sql);
      const [{ epoch } = { epoch: 0 }] = await sql<{ epoch: number }[]>`
        select epoch from lotline.routes where operation = 'login'`;
      await rollBack(sql, { operation: "login", epoch, why: "3 of 5 responses were wrong" });
      await lastChangeWas(sql, "2025-12-18T08:00:00.000Z");
    },
    because: /^login: it was rolled back, and is held on legacy: 3 of 5 responses were wrong$/,
  },
  {
    what: "an approval that is gone",
    async given(sql) {
      await givenStory(sql);
      await sql`insert into lotline.route_outcomes
        select 'login', epoch, '2025-12-01T08:00Z', 'approved', 'withdrawn', 3
        from lotline.routes where operation = 'login'`;
    },
    because:
      /^login: 3 differences passed by approval withdrawn, which is no longer in approved\.yaml$/,
  },
  {
    what: "an unknown path",
    async given(sql) {
      await givenStory(sql);
      await sql`insert into lotline.unknown_requests values
        ('2025-12-18', 'GET', '/api/text-0123456789ab', 7, '2025-12-18T08:00Z', '2025-12-18T09:00Z')`;
    },
    because:
      /^1 unknown path was requested in the last 14 days, and only the old server responds \(7 requests in this period\)$/,
  },
  {
    what: "limits that were loosened",
    async given(sql) {
      await givenStory(sql);
      await limitsAt({ lost_percent: 50, min_samples: 20 }, "2025-12-15T08:00:00.000Z");
    },
    because:
      /^the limits were loosened in the last 14 days: min_samples 200 → 20, lost_percent 5 → 50 at 2025-12-15T08:00:00.000Z \(bob: a test\)$/,
  },
];

for (const { what, given, because } of OBSTACLES) {
  Deno.test(`no, because of ${what}`, async () => {
    await given(sql);
    const data = await report();
    const reasons = reasonsOf(data);
    ok(reasons.length > 0, "nothing speaks against it");
    for (const reason of reasons) match(reason, because);
    const page = toMarkdown(documentOf(data));
    match(
      page,
      /^# Evidence of the cutover\n\n> \*\*Ready to retire the old server: no, because\*\*\n\n- /,
    );
    deepStrictEqual(JSON.parse(toJson(data)).ready, false);
  });
}

Deno.test("an approval that was used is shown with the answer, and stands against it when its review is due", async () => {
  await givenStory(sql);
  await sql`insert into lotline.route_outcomes
    select 'login', epoch, '2025-12-01T08:00Z', 'approved', 'json-errors', 3
    from lotline.routes where operation = 'login'`;
  const beforeTheEnd = await report();
  strictEqual(answerOf(beforeTheEnd), "yes");
  match(toMarkdown(documentOf(beforeTheEnd)), /\nApprovals used: json-errors 3\.\n/);
  const due = approvals.map((one) => ({ ...one, approved: "2025-01-01", review: "2025-12-19" }));
  deepStrictEqual(reasonsOf(await report({}, due)), [
    "login: the approval json-errors was used 3 times, and its review was due on 2025-12-19",
  ]);
});

Deno.test("each period is judged by the limits of its time, not by today's", async () => {
  await givenStory(sql, { except: ["getHealth"] });
  await modeAt(sql, "getHealth", { name: "shadow" }, SHADOW[1]);
  const mode = { name: "service" } as const;
  const epoch = await modeAt(sql, "getHealth", mode, "2025-11-20T08:00:00.000Z");
  const lossy = { operation: "getHealth", epoch, outcomes: { same: 300, lost: 100 } } as const;
  await evidenceAt(sql, { ...lossy, at: "2025-11-21T08:00:00.000Z" });
  await limitsAt({ lost_percent: 50 }, "2025-11-22T08:00:00.000Z");
  await evidenceAt(sql, { ...lossy, at: "2025-11-23T08:00:00.000Z" });
  await limitsAt({ lost_percent: 5 }, "2025-11-24T08:00:00.000Z");
  await evidenceAt(sql, { ...lossy, at: "2025-11-25T08:00:00.000Z" });
  const data = await report();
  const periods = data.routes[0]?.periods.filter((period) => period.mode.name === "service") ?? [];
  deepStrictEqual(periods.map(({ from, until, verdict }) => [from, until, verdict]), [
    ["2025-11-20T08:00:00.000Z", "2025-11-22T08:00:00.000Z", "inconclusive"],
    ["2025-11-22T08:00:00.000Z", "2025-11-24T08:00:00.000Z", "pass"],
    ["2025-11-24T08:00:00.000Z", STORY_END, "inconclusive"],
  ]);
  deepStrictEqual(
    data.limitChanges.map((
      { by, why, changes, loosened },
    ) => [by, why, changes.join(), loosened.length]),
    [
      ["bob", "a test", "lost_percent 5 → 50", 1],
      ["bob", "a test", "lost_percent 50 → 5", 0],
    ],
  );
  match(
    reasonsOf(data).join(),
    /^getHealth: service from 2025-11-24.* 100 of 400 comparisons were lost/,
  );
  match(
    toMarkdown(documentOf(data)),
    /\| \d+ \| 2025-11-22T08:00:00\.000Z \| lost\\_percent 5 → 50 \| easier \| bob \| a test \|/,
  );
});

Deno.test("a difference of an attempt that was given up doesn't count against a later one", async () => {
  await givenStory(sql, { except: ["getTraceability"] });
  const mode = { name: "shadow" } as const;
  const epoch = await modeAt(sql, "getTraceability", mode, "2025-11-02T08:00:00.000Z");
  const outcomes = { same: 300, different: 2 };
  const first = { operation: "getTraceability", epoch, at: "2025-11-02T09:00:00.000Z" } as const;
  await evidenceAt(sql, { ...first, outcomes });
  await rollBack(sql, { operation: "getTraceability", epoch, why: "wrong" });
  await sql`update lotline.routes set latch = null`;
  await lastChangeWas(sql, "2025-11-02T10:00:00.000Z");
  await movedWell(sql, "getTraceability");
  const data = await report();
  deepStrictEqual([reasonsOf(data), answerOf(data)], [[], "yes"]);
  const [attempt] = data.routes[2]?.periods ?? [];
  deepStrictEqual([attempt?.verdict, attempt?.different], ["fail", 2]);
});

Deno.test("a report of the last days alone says that they are too few", async () => {
  await givenStory(sql);
  const data = await report({ since: "2025-12-15T00:00:00.000Z" });
  ok(reasonsOf(data).some((reason) => /: it is on service for 5\.0 of 14 days$/.test(reason)));
});
