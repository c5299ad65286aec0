import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { KIND_NAMES } from "../audit/kinds.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { audit, buildPlant } from "../testing/audited_plant.ts";
import { Audit } from "./audit_shapes.ts";
import { AuditWithFindings } from "./get_audit.ts";
import { AuditPage } from "./list_audits.ts";
import { ErrorResponse } from "./responses.ts";

const { api, sql, databaseUrl } = await apiOnSeed();
const database = { url: databaseUrl, sql, [Symbol.asyncDispose]: () => Promise.resolve() };

const NOWHERE = "99999999-9999-4999-8999-999999999999";

async function clear(): Promise<void> {
  await sql`truncate lotline.jobs, lotline.audits, lotline.audit_findings`;
}

async function getAudit(id: string, query = "") {
  return AuditWithFindings.parse((await api.get(`/api/audits/${id}${query}`)).json);
}

const sketch = (finding: { standing: string; kind: string; lots: { lot_code: string }[] }) =>
  [finding.standing, finding.kind, ...finding.lots.map(({ lot_code }) => lot_code)].join(" ");

Deno.test("a POST without body or with {} is 202 with the audit and its location", async () => {
  await clear();
  const responses = [
    await api.send("/api/audits", { method: "POST" }),
    await api.post("/api/audits", {}),
    await api.post("/api/audits", ""),
  ];
  const [first] = responses.map(({ json }) => Audit.parse(json));
  for (const { status, json, headers } of responses) {
    strictEqual(status, 202);
    deepStrictEqual(Audit.parse(json), first);
    strictEqual(headers.get("location"), `/api/audits/${first?.id}`);
    match(headers.get("etag") ?? "", /^W\//);
  }
  deepStrictEqual({ ...first, id: "", created_at: "" }, {
    id: "",
    state: "queued",
    progress: null,
    created_at: "",
    as_of: null,
    finished_at: null,
    compared_with: null,
    summary: null,
  });
  const response = await api.get(`/api/audits/${first?.id}`);
  deepStrictEqual(response.json, { ...first, findings: [], next_cursor: null });
  const jobs = await sql`select kind, priority, arguments from lotline.jobs`;
  deepStrictEqual([...jobs], [{
    kind: "audit_genealogy",
    priority: 0,
    arguments: { auditId: first?.id },
  }]);
});

Deno.test("a POST with any field in its body is 422 and starts nothing", async () => {
  await clear();
  for (const [body, path] of [[{ kind: "cycle" }, "kind"], [[], ""], ["[]", ""]] as const) {
    const { status, json } = await api.post("/api/audits", body);
    deepStrictEqual([status, ErrorResponse.parse(json).details?.[0]?.path], [422, path]);
  }
  const { status } = await api.post("/api/audits", "{}", { "content-type": "text/plain" });
  strictEqual(status, 415);
  strictEqual((await sql`select from lotline.jobs`).length, 0);
});

Deno.test("a done audit shows its summary and findings, with the id and code of each lot", async () => {
  await buildPlant(sql, {
    lots: { R: { kg: "10.50" }, M: { type: "MIX" } },
    links: [["R", "M", "11"]],
  });
  const { id } = await audit(database);
  const shown = await getAudit(id);
  strictEqual(shown.state, "done");
  deepStrictEqual(shown.findings.map(sketch), ["new gained_weight M", "new overdrawn R"]);
  const [lot] = await sql<{ id: string }[]>`select id from lots where lot_code = 'R'`;
  deepStrictEqual(shown.findings[1], {
    kind: "overdrawn",
    severity: "major",
    standing: "new",
    lots: [{ id: lot?.id, lot_code: "R" }],
    numbers: { weight_kg: "10.50", used_kg: "11", over_kg: "0.50" },
  });
  const { summary } = shown;
  deepStrictEqual(summary?.findings.map(({ kind }) => kind), KIND_NAMES);
  deepStrictEqual([summary?.lots, summary?.links, summary?.tolerance_percent], [2, 1, "2"]);
  deepStrictEqual(summary?.temperatures.FG, { least: "-40", most: "-18" });
  const { headers, status } = await api.get(`/api/audits/${id}`);
  const again = await api.get(`/api/audits/${id}`, {
    "if-none-match": headers.get("etag") ?? "",
  });
  deepStrictEqual([status, again.status], [200, 304]);
});

Deno.test("findings can be filtered by kind, severity and standing", async () => {
  await buildPlant(sql, { lots: { A: { kg: "-1" }, B: { kg: null }, C: { kg: "NaN" } } });
  await audit(database);
  await sql`update lots set weight_kg = 'NaN' where lot_code = 'A'`;
  const { id } = await audit(database);
  const cases: [query: string, findings: string[]][] = [
    ["", [
      "still_there missing_weight B",
      "gone negative_weight A",
      "new weight_not_a_number A",
      "still_there weight_not_a_number C",
    ]],
    ["?kind=missing_weight", ["still_there missing_weight B"]],
    ["?kind=cycle", []],
    ["?severity=minor", ["still_there missing_weight B"]],
    ["?standing=gone", ["gone negative_weight A"]],
    ["?standing=still_there&kind=weight_not_a_number&severity=major&unknown=%zz", [
      "still_there weight_not_a_number C",
    ]],
    ["?standing=unknown", []],
  ];
  for (const [query, findings] of cases) {
    deepStrictEqual((await getAudit(id, query)).findings.map(sketch), findings, query);
  }
});

Deno.test("pages of findings follow each other without a gap, with a filter too", async () => {
  const codes = Array.from({ length: 7 }, (_, i) => `L${i}`);
  await buildPlant(sql, {
    lots: Object.fromEntries(codes.map((code, i) => [code, { kg: i % 2 === 0 ? null : "-1" }])),
  });
  const { id } = await audit(database);
  for (const [filter, count] of [["", 7], ["&kind=missing_weight", 4]] as const) {
    const whole = await getAudit(id, `?limit=1000${filter}`);
    strictEqual(whole.findings.length, count);
    for (const limit of [1, 2, 3, 4, 7]) {
      const pages = [];
      let cursor: string | null = "";
      while (cursor !== null && pages.length < 10) {
        const more: string = cursor === "" ? "" : `&cursor=${cursor}`;
        const page: AuditPageOfFindings = await getAudit(id, `?limit=${limit}${filter}${more}`);
        ok(page.findings.length <= limit);
        pages.push(page.findings);
        cursor = page.next_cursor;
      }
      deepStrictEqual(pages.flat(), whole.findings);
      strictEqual(pages.length, Math.ceil(count / limit), `${limit} at once`);
    }
  }
});

type AuditPageOfFindings = Awaited<ReturnType<typeof getAudit>>;

Deno.test("a page that would be too large ends early, and the next one continues", async () => {
  await buildPlant(sql, { lots: {} });
  const { id, run } = await audit(database);
  await sql`insert into lotline.audit_findings
    (run, kind, subject, severity, standing, lot_ids, lot_codes, numbers)
    select ${run}, 'cycle', gen_random_uuid(), 'critical', 'new',
      array(select gen_random_uuid() from generate_series(1, 50)),
      array(select repeat(n::text, 2600) from generate_series(1, 50)), '{"length": 50}'
    from generate_series(1, 9) n, generate_series(1, 9)`;
  const first = await api.get(`/api/audits/${id}?limit=1000`);
  ok(first.text.length < 1_500_000, `${first.text.length}`);
  let { findings: { length }, next_cursor } = AuditWithFindings.parse(first.json);
  ok(length > 5 && length < 20, `${length}`);
  for (let pages = 1; next_cursor !== null; pages++) {
    ok(pages < 20);
    const next: AuditPageOfFindings = await getAudit(id, `?limit=1000&cursor=${next_cursor}`);
    length += next.findings.length;
    next_cursor = next.next_cursor;
  }
  strictEqual(length, 81);
});

Deno.test("audits are listed newest first, page by page, and a page stays unchanged when one is added", async () => {
  await clear();
  const ids: string[] = [];
  // Some of one moment: then the id decides.
  for (const minute of [0, 1, 1, 1, 2]) {
    const id = crypto.randomUUID();
    ids.push(id);
    await sql`insert into lotline.audits (id, job_id, created_at) values (${id}, ${id},
      timestamptz '2026-01-01' + ${minute}::int * interval '1 minute')`;
  }
  const list = async (query: string) =>
    AuditPage.parse((await api.get(`/api/audits${query}`)).json);
  const whole = await list("");
  deepStrictEqual([whole.audits.length, whole.next_cursor], [5, null]);
  deepStrictEqual([whole.audits[0]?.id, whole.audits[4]?.id], [ids[4], ids[0]]);
  for (const limit of [1, 2, 3, 5]) {
    const seen: unknown[] = [];
    let cursor: string | null = "";
    while (cursor !== null && seen.length < 10) {
      const more: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const page: { audits: unknown[]; next_cursor: string | null } = await list(
        `?limit=${limit}${more}`,
      );
      seen.push(...page.audits);
      cursor = page.next_cursor;
    }
    deepStrictEqual(seen, whole.audits, `${limit} at once`);
  }
  const { next_cursor } = await list("?limit=2");
  const before = await list(`?limit=2&cursor=${next_cursor}`);
  await sql`insert into lotline.audits (job_id) values (${crypto.randomUUID()})`;
  deepStrictEqual(await list(`?limit=2&cursor=${next_cursor}`), before);
  deepStrictEqual(await list(`?cursor=${NOWHERE}`), { audits: [], next_cursor: null });
});

const COUNT = (max: number) => `must be a whole number from 1 to ${max}`;
const UUID = "must be a UUID, such as 11111111-1111-1111-1111-111111111101";
const CURSOR = "must be the next_cursor of an answer";

const REFUSED: [path: string, status: number, error: string][] = [
  [`/api/audits/${NOWHERE}`, 404, "There is no such audit"],
  [`/api/audits/${NOWHERE}?kind=cycle`, 404, "There is no such audit"],
  ["/api/audits/1", 422, `id ${UUID}`],
  ["/api/audits/%zz", 400, "The path holds a broken percent escape"],
  ["/api/audits/%00", 422, `id ${UUID}`],
  ["/api/audits?limit=0", 422, `limit ${COUNT(100)}`],
  ["/api/audits?limit=101", 422, `limit ${COUNT(100)}`],
  ["/api/audits?limit=1e1", 422, `limit ${COUNT(100)}`],
  ["/api/audits?limit=", 422, `limit ${COUNT(100)}`],
  ["/api/audits?limit=-1", 422, `limit ${COUNT(100)}`],
  ["/api/audits?limit=1.5", 422, `limit ${COUNT(100)}`],
  ["/api/audits?limit=1&limit=2", 422, "limit is given more than once"],
  ["/api/audits?cursor=x", 422, `cursor ${UUID}`],
  [`/api/audits/${NOWHERE}?limit=1001`, 422, `limit ${COUNT(1000)}`],
  [`/api/audits/${NOWHERE}?limit=${"9".repeat(400)}`, 422, `limit ${COUNT(1000)}`],
  [`/api/audits/${NOWHERE}?kind=Cycle`, 422, `kind must be one of ${KIND_NAMES.join(", ")}`],
  [`/api/audits/${NOWHERE}?severity=`, 422, "severity must be one of critical, major, minor"],
  [
    `/api/audits/${NOWHERE}?standing=old`,
    422,
    "standing must be one of new, still_there, gone, unknown",
  ],
  [`/api/audits/${NOWHERE}?cursor=cycle`, 422, `cursor ${CURSOR}`],
  [`/api/audits/${NOWHERE}?cursor=%00.${NOWHERE}`, 422, `cursor ${CURSOR}`],
  [
    `/api/audits/${NOWHERE}?kind=cycle&cursor=x&kind=cycle&cursor=y`,
    422,
    "kind is given more than once (and 1 more)",
  ],
];

for (const [path, status, error] of REFUSED) {
  Deno.test(`${path.slice(0, 100)} is ${status} "${error.slice(0, 60)}"`, async () => {
    const response = await api.get(path);
    deepStrictEqual([response.status, ErrorResponse.parse(response.json).error], [status, error]);
  });
}

Deno.test("a limit with leading zeros, and the longest cursor, are accepted", async () => {
  strictEqual((await api.get("/api/audits?limit=007")).status, 200);
  const { id } = await audit(database);
  const cursor = `${"_".repeat(40)}.${NOWHERE}`;
  strictEqual((await api.get(`/api/audits/${id}?cursor=${cursor}`)).status, 200);
});
